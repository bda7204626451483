//! Three-way merges as GitHub makes for `refs/pull/N/merge`.
//! Where both sides changed one file their changes must not touch; anything closer is a conflict.

use super::diff::{Changed, lines, text};
use super::{Blob, Tree};

/// Merges two trees that grew from `base`, or names the files in conflict.
pub(crate) fn three_way(base: &Tree, ours: &Tree, theirs: &Tree) -> Result<Tree, Vec<String>> {
    let mut merged = Tree::new();
    let mut conflicts = Vec::new();
    let mut paths: Vec<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (base, ours, theirs) = (base.get(path), ours.get(path), theirs.get(path));
        let outcome = if ours == theirs || theirs == base {
            ours.cloned()
        } else if ours == base {
            theirs.cloned()
        } else if let Some(blob) = both_changed(base, ours, theirs) {
            Some(blob)
        } else {
            conflicts.push(path.clone());
            continue;
        };
        if let Some(blob) = outcome {
            merged.insert(path.clone(), blob);
        }
    }
    conflicts.extend(files_in_the_place_of_folders(&merged));
    if conflicts.is_empty() { Ok(merged) } else { Err(conflicts) }
}

fn both_changed(base: Option<&Blob>, ours: Option<&Blob>, theirs: Option<&Blob>) -> Option<Blob> {
    let (base, ours, theirs) = (base?, ours?, theirs?);
    if ours.mode != theirs.mode || [base, ours, theirs].iter().any(|blob| std::str::from_utf8(&blob.bytes).is_err()) {
        return None;
    }
    let (base_text, our_text, their_text) = (text(Some(base)), text(Some(ours)), text(Some(theirs)));
    let (old, our_lines, their_lines) = (lines(&base_text), lines(&our_text), lines(&their_text));
    let our_change = Changed::between(&old, &our_lines);
    let their_change = Changed::between(&old, &their_lines);
    let (first, first_lines, second, second_lines) = if our_change.start <= their_change.start {
        (our_change, our_lines, their_change, their_lines)
    } else {
        (their_change, their_lines, our_change, our_lines)
    };
    // Changes that meet without a line between them conflict, as in git.
    if first.old_end >= second.start {
        return None;
    }
    let merged = [&first_lines[..first.new_end], &old[first.old_end..second.start], &second_lines[second.start..]]
        .concat()
        .concat();
    Some(Blob::new(ours.mode, merged.into()))
}

/// One side made a file where the other made a folder.
fn files_in_the_place_of_folders(tree: &Tree) -> Vec<String> {
    tree.keys().filter(|path| tree.keys().any(|other| other.starts_with(&format!("{path}/")))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Mode;

    fn tree(text: &'static str) -> Tree {
        Tree::from([("f".to_owned(), Blob::new(Mode::File, text.into()))])
    }

    #[test]
    fn changes_apart_merge_and_changes_that_meet_conflict() {
        let base = tree("1\n2\n3\n4\n5\n");
        let merged = three_way(&base, &tree("one\n2\n3\n4\n5\n"), &tree("1\n2\n3\n4\nfive\n")).unwrap();
        assert_eq!(merged["f"].bytes, "one\n2\n3\n4\nfive\n");
        assert_eq!(three_way(&base, &tree("one\n2\n3\n4\n5\n"), &tree("1\ntwo\n3\n4\n5\n")), Err(vec!["f".to_owned()]));
    }

    #[test]
    fn deleting_what_the_other_side_changed_conflicts() {
        assert_eq!(three_way(&tree("1\n"), &Tree::new(), &tree("2\n")), Err(vec!["f".to_owned()]));
        assert_eq!(three_way(&tree("1\n"), &Tree::new(), &tree("1\n")), Ok(Tree::new()));
    }
}
