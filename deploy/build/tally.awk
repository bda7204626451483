# tally.awk: counts test outcomes in a log; prints "PASSED FAILED SKIPPED".
# -v kind=rust   libtest's summaries
# -v kind=plain  `go test -v`, and scripts whose lines begin with PASS, FAIL or SKIP and a space
# What it does not recognise it does not count: "0 0 0" means that nothing ran, which is for the caller to refuse.
kind == "rust" && /^test result: / {
    for (i = 1; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
        if ($(i + 1) == "ignored;") skipped += $i
    }
}
kind == "plain" && /^(--- PASS:|PASS) ./ { passed++ }
kind == "plain" && /^(--- FAIL:|FAIL) ./ { failed++ }
kind == "plain" && /^(--- SKIP:|SKIP) ./ { skipped++ }
END { print passed + 0, failed + 0, skipped + 0 }
