//! Gate files that are wrong: each is refused at its line, with a message that says what would be right.

use super::{gate, gate_with};

/// Text of a gate file, and how its problems are shown, without the file's name.
const WRONG: &[(&str, &str)] = &[
    ("", "1:1: the text ends too early, or there is none"),
    ("label: x", "1:1: `suites` is missing"),
    ("suites: {}", "1:9: 0 suites; a gate has 1 to 50"),
    ("suites: [smoke]", "1:9: expected keys with values here"),
    ("suites: {smoke: {}\n", "1:9: unclosed bracket"),
    ("suites:\n\tsmoke: {}\n", "2:2: tabs disallowed"),
    ("suites:\n  smoke:\n  smoke:\n", "3:3: duplicate mapping key: smoke"),
    ("suites: {smoke: }\n---\nsuites: {}\n", "2:1: a second document: the file holds one"),
    ("suites: {smoke: }\nlabels: x\n", "2:1: there is no key `labels`; did you mean `label`?"),
    ("suites:\n  smoke:\n    tiemout: 5m\n", "3:5: there is no key `tiemout`; did you mean `timeout`?"),
    ("suites: {smoke: {zzz: 1}}", "1:18: there is no key `zzz`; known are artifacts, cluster, command, "),
    ("version: 2\nsuites: {smoke: }\n", "1:10: version 2 is not known; this release reads 1"),
    ("checkout: base\nsuites: {smoke: }\n", "1:11: `base` is not one of merge, head"),
    ("label: ''\nsuites: {smoke: }\n", "1:8: `` is not a label: 1 to 50 characters on one line"),
    ("suites: {smoke: }\nupgrade: {from: tag}\n", "2:17: `tag` is not one of base"),
    ("suites: {smoke: }\ncluster: {nodes: 10}\n", "2:18: `nodes` must be 1 to 9, not 10"),
    ("suites: {smoke: }\ncluster: {nodes: many}\n", "2:18: `nodes` must be a whole number, 0 or more"),
    ("suites: {smoke: {min_specs: -1}}\n", "1:29: `min_specs` must be a whole number, 0 or more"),
    ("suites: {smoke: {min_specs: 1.5}}\n", "1:29: `min_specs` must be a whole number, 0 or more"),
    ("suites: {smoke: [a]}\n", "1:17: expected keys with values here"),
    ("suites: {smoke: {paths: a}}\n", "1:25: expected a list here"),
    ("suites: {smoke: {timeout: [a]}}\n", "1:27: expected a text here"),
    ("suites: {smoke: {flaky: [a]}}\n", "1:25: expected a text here"),
    ("suites: {smoke: }\ncluster: {retries: 6}\n", "2:20: `retries` must be 0 to 5, not 6"),
    ("suites: {smoke: }\ncluster: {image: --privileged}\n", "2:18: `--privileged` is not a container image"),
    (
        "suites: {smoke: }\ncluster: {ready_timeout: soon}\n",
        "2:26: `soon` is not a duration such as `90s`, `5m` or `2h30m`",
    ),
    ("suites: {smoke: {secrets: {TOKEN: Registry}}}\n", "1:35: `Registry` is not a secret's name (a-z, 0-9"),
    ("suites: {smoke: {secrets: {KUBECONFIG: key}}}\n", "1:28: `KUBECONFIG` is set by Portcullis"),
    ("suites: {smoke: {env: {PORTCULLIS_FOCUS: x}}}\n", "1:24: `PORTCULLIS_FOCUS` is set by Portcullis"),
    ("suites: {smoke: {env: {TOKEN: x}, secrets: {TOKEN: key}}}\n", "1:45: `TOKEN` is in `env` as well"),
    ("suites: {smoke: {secrets_for: everybody}}\n", "1:31: `everybody` is not one of trusted, anyone"),
    ("suites: {smoke: }\nsetup: [{name: a, apply: [../../etc]}]\n", "2:27: `../../etc` leads out of the repository"),
    ("suites: {smoke: }\nsetup: [{name: a, apply: [/etc]}]\n", "2:27: `/etc` is not a relative path"),
    ("suites: {smoke: }\nsetup: [{name: a, apply: []}]\n", "2:26: the step `a` applies nothing"),
    ("suites: {smoke: }\nsetup:\n- {name: a, apply: [x]}\n- {name: a, apply: [y]}\n", "4:10: a second step named `a`"),
    (
        "suites:\n  conformence:\n",
        "2:3: `conformence` is no built-in suite (smoke, conformance, statefulset, custom) and has no `image`; did you mean `conformance`?",
    ),
    ("suites:\n  gate: {image: a}\n", "2:3: `gate` cannot name a suite: the status of that name tells of this file"),
    ("suites:\n  Mine: {image: a}\n", "2:3: `Mine` is not a suite name (a-z, 0-9 and '-'"),
    (
        "suites:\n  mine: {uses: smok}\n",
        "2:16: there is no built-in suite `smok` (smoke, conformance, statefulset, custom); did you mean `smoke`?",
    ),
    ("suites:\n  mine: {image: 'a b'}\n", "2:17: `a b` is not a container image"),
    ("suites:\n  smoke: {timeout: 5 parsecs}\n", "2:20: `5 parsecs` is not a duration"),
    ("suites:\n  smoke: {timeout: 30}\n", "2:20: `30` is not a duration"),
    ("suites:\n  smoke: {timeout: 200h}\n", "2:20: `200h` is too long; at most 168 hours"),
    ("suites:\n  smoke: {no_output: 10ms}\n", "2:22: `10ms` is shorter than a second"),
    ("suites:\n  smoke: {flake_attempts: 0}\n", "2:27: `flake_attempts` must be 1 to 10, not 0"),
    ("suites:\n  smoke: {min_specs: 0}\n", "2:22: `min_specs` must be 1 to 1000000, not 0"),
    ("suites:\n  smoke: {required: yes}\n", "2:21: `required` must be `true` or `false`"),
    ("suites:\n  smoke: {flaky: ignore}\n", "2:18: `ignore` is not one of pass, fail"),
    ("suites:\n  smoke: {resources: {memory: 2GB}}\n", "2:31: `2GB` is not a size such as `512Mi` or `2Gi`"),
    ("suites:\n  smoke: {resources: {memory: 15Mi}}\n", "2:31: `15Mi` is too little for a suite; at least `16Mi`"),
    ("suites:\n  smoke: {resources: {disk: 1}}\n", "2:29: `1` is too little for a suite; at least `1Mi`"),
    ("suites:\n  smoke: {resources: {log: 1}}\n", "2:28: `1` is too little for a suite; at least `1Mi`"),
    ("suites:\n  smoke: {resources: {cpu: 9m}}\n", "2:28: `9m` is too little for a suite; at least `10m`"),
    ("suites:\n  smoke: {resources: {cpu: lots}}\n", "2:28: `lots` is not a number of cores such as `2` or `500m`"),
    ("suites:\n  smoke: {env: {KUBECONFIG: /x}}\n", "2:17: `KUBECONFIG` is set by Portcullis"),
    ("suites:\n  smoke: {env: {'A=B': x}}\n", "2:17: `A=B` is not the name of a variable"),
    ("suites:\n  smoke: {procs: 4}\n", "2:18: `procs` is for suites with `entry: ginkgo`"),
    ("suites:\n  smoke: {skip: [x]}\n", "2:17: `skip` is for suites with `entry: ginkgo`; use the skip list"),
    ("suites:\n  conformance: {procs: 65}\ncluster: {nodes: 2}\n", "2:24: `procs` must be 1 to 64, not 65"),
    ("suites:\n  conformance: {focus: ['[']}\n", "2:25: `[` is not a regular expression: unclosed character class"),
    (
        "suites:\n  conformance: {skip: ['\\[Serial\\]|']}\ncluster: {nodes: 2}\n",
        "2:24: the pattern `\\\\[Serial\\\\]|` matches every spec",
    ),
    (
        "suites:\n  conformance: {entry: ginkgo, command: [x]}\ncluster: {nodes: 2}\n",
        "2:41: a suite with `entry: ginkgo` takes no `command`",
    ),
    (
        "suites:\n  conformance:\n",
        "2:3: the suite `conformance` needs 2 nodes; the cluster has 1: set `cluster: {nodes: 2}`",
    ),
    (
        "suites:\n  conformance: {focus: [a], phases: [{name: a}, {name: a}]}\ncluster: {nodes: 2}\n",
        "2:56: a second phase named `a`",
    ),
    ("suites:\n  smoke: {phases: [{name: a}]}\n", "2:19: `phases` is for suites with `entry: ginkgo`"),
    ("suites:\n  smoke: {rerun: {rounds: 4}}\n", "2:27: `rounds` must be 0 to 3, not 4"),
    ("suites:\n  smoke: {rerun: {max_specs: 21}}\n", "2:30: `max_specs` must be 1 to 20, not 21"),
    (
        "suites:\n  smoke: {rerun: {command: [x]}}\n",
        "2:28: `command` names the specs nowhere: it needs `{cases}` or `{case}`",
    ),
    ("suites:\n  mine: {image: a, rerun: {runner: pytest}}\n", "2:36: a `runner` needs the suite's `command`"),
    ("suites:\n  smoke: {artifacts: ['../x']}\n", "2:23: `../x` leads out of the repository"),
    ("suites:\n  smoke: {artifacts: ['a[']}\n", "2:23: `a[` is not a glob"),
    (
        "suites:\n  conformance: {submission: true, flake_attempts: 2}\ncluster: {nodes: 2}\n",
        "2:51: a suite with `submission: true` decides on `flake_attempts` itself",
    ),
    ("suites: {smoke: }\nskips: skips.yaml\n", "2:8: there is no file `skips.yaml`"),
    ("suites: {smoke: }\nskips: /etc/passwd\n", "2:8: `/etc/passwd` is not a relative path"),
    ("suites: {smoke: }\nskips: {a: b}\n", "2:8: expected the path of a skip list, or a list of entries here"),
];

#[test]
fn each_mistake_is_named_at_its_place() {
    for (text, expected) in WRONG {
        let shown = gate(text).expect_err(text);
        let first = shown.lines().next().unwrap();
        assert!(first.starts_with(&format!(".github/portcullis.yaml:{expected}")), "{text}\n{shown}");
        assert_eq!(shown.lines().count(), 1, "one mistake, one message\n{text}\n{shown}");
    }
}

#[test]
fn every_mistake_in_a_files_shape_is_named() {
    let text = "lable: x\nsuites:\n  smoke: {tiemout: 5m, procs: two, required: 'no'}\n  custom: {procz: 1, flaky: maybe, phases: [{focus: a}]}\n\
                setup: [{nmae: a}]\nskips: [{match: a}]\nupgrade: base\n";
    let shown = gate(text).unwrap_err();
    let expected = [
        "1:1: there is no key `lable`; did you mean `label`?",
        "3:11: there is no key `tiemout`; did you mean `timeout`?",
        "3:31: `procs` must be a whole number, 0 or more",
        "3:46: `required` must be `true` or `false`",
        "4:12: there is no key `procz`; did you mean `procs`?",
        "4:29: `maybe` is not one of pass, fail",
        "4:45: `name` is missing",
        "4:53: expected a list here",
        "5:9: `name` is missing",
        "5:9: `apply` is missing",
        "5:10: there is no key `nmae`; did you mean `name`?",
        "6:9: `reason` is missing",
        "6:9: `owner` is missing",
        "6:9: `expires` is missing",
        "7:10: expected keys with values here",
    ];
    let lines: Vec<_> = shown.lines().map(|line| line.trim_start_matches(".github/portcullis.yaml:")).collect();
    assert_eq!(lines, expected, "{shown}");
}

#[test]
fn independent_mistakes_are_shown_together_from_top_to_bottom() {
    let text = "version: 3\nsuites:\n  smoke: {timeout: soon, flake_attempts: 99}\n  smokey: {}\nsetup_timeout: never\nlabel: ''\n";
    let shown = gate(text).unwrap_err();
    let lines: Vec<_> = shown.lines().map(|line| line.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["1", "3", "3", "4", "5", "6"], "{shown}");
}

const NAMED: &str = "suites: {smoke: , custom: }\nskips: .github/portcullis-skips.yaml\n";

/// An entry of a skip list, and its problem.
const WRONG_ENTRIES: &[(&str, &str)] = &[
    ("{match: '', reason: r, owner: o, expires: 2027-01-01}", "2:11: the pattern `` matches every spec"),
    ("{match: 'a|', reason: r, owner: o, expires: 2027-01-01}", "2:11: the pattern `a|` matches every spec"),
    ("{match: '(', reason: r, owner: o, expires: 2027-01-01}", "2:11: `(` is not a regular expression: unclosed group"),
    ("{reason: r, owner: o, expires: 2027-01-01}", "2:12: the entry says by neither `match` nor `exact`"),
    (
        "{match: a, exact: b, reason: r, owner: o, expires: 2027-01-01}",
        "2:21: `match` and `exact` both say which specs",
    ),
    (
        "{match: a, reason: r, owner: o, expires: 2027-01-01, when: {kubernetes: new}}",
        "2:75: `new` is not a range of versions",
    ),
    ("{match: a, reason: '', owner: o, expires: 2027-01-01}", "2:22: `reason` must be one line of 1 to 500 characters"),
    ("{match: a, reason: r, owner: ' ', expires: 2027-01-01}", "2:32: `owner` must be one line"),
    ("{match: a, reason: r, owner: o}", "2:3: `expires` is missing"),
    ("{match: a, reason: r, owner: o, expires: soon}", "2:44: `soon` is not a day such as `2027-01-30`"),
    (
        "{match: a, reason: r, owner: o, expires: 2027-02-20}",
        "2:44: 2027-02-20 is more than 90 days ahead; the latest is 2027-02-19",
    ),
    (
        "{match: a, reason: r, owner: o, expires: 2027-01-01, suites: [smoke, costum]}",
        "2:72: the gate has no suite `costum`; did you mean `custom`?",
    ),
    (
        "{match: a, reason: r, owner: o, expires: 2027-01-01}\n- {match: a, reason: s, owner: p, expires: 2027-01-02, suites: [smoke]}",
        "3:11: `a` is on the list already",
    ),
];

#[test]
fn each_mistake_of_a_skip_list_is_named_in_its_own_file() {
    for (entry, expected) in WRONG_ENTRIES {
        let list = format!("entries:\n- {entry}\n");
        let shown = gate_with(NAMED, Some(&list)).expect_err(entry);
        assert!(shown.starts_with(&format!(".github/portcullis-skips.yaml:{expected}")), "{entry}\n{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
    let two_suites = "entries:\n- {match: a, reason: r, owner: o, expires: 2027-01-01, suites: [smoke]}\n- {match: a, reason: r, owner: o, expires: 2027-01-01, suites: [custom]}\n";
    assert_eq!(gate_with(NAMED, Some(two_suites)).unwrap().skips.len(), 2, "the same words about another suite");
}

#[test]
fn hostile_files_are_refused_quickly_and_briefly() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (new, old) in ["b", "c", "d", "e", "f", "g", "h"].iter().zip(["a", "b", "c", "d", "e", "f", "g"]) {
        bomb += &format!("{new}: &{new} [*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old},*{old}]\n");
    }
    let deep = format!("suites: {}", "[".repeat(100_000));
    let long = format!("suites: {{smoke: }}\nlabel: {}\n", "x".repeat(300 * 1024));
    let wide = format!("suites: {{smoke: }}\nsetup: [{}]\n", "a,".repeat(60_000));
    let costly = format!("suites: {{conformance: {{focus: [{}]}}}}\n", "'\\w{90}',".repeat(20_000));
    let many: String = (0..9000).map(|n| format!("'{n}': x, ")).collect();
    let many = format!("suites: {{smoke: {{env: {{{many}}}}}}}\n");
    assert_eq!(gate(&many).unwrap_err().lines().last(), Some(".github/portcullis.yaml: and 8900 more problems"));
    let stray = "suites: {\"\u{1b}[31msmoke\": }\n".to_owned();
    for hostile in [&bomb, &deep, &long, &wide, &costly, &stray] {
        let started = std::time::Instant::now();
        let shown = gate(hostile).unwrap_err();
        let (took, start) = (started.elapsed(), shown.chars().take(300).collect::<String>());
        assert!(took.as_secs() < 5, "{took:?} for {start}");
        assert!(shown.len() < 2000 && !shown.contains('\u{1b}'), "{start:?}");
    }
    assert_eq!(gate(&long).unwrap_err(), ".github/portcullis.yaml: 307226 bytes are too many; the limit is 262144");
    assert_eq!(gate(&costly).unwrap_err(), ".github/portcullis.yaml:1:9: 20000 patterns; a gate has at most 500");
}
