-- The first shape of the store. Times are milliseconds since 1970, enums are their lower-case names, lists and plans are JSON.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Webhooks as received. `processed_at` is set in the transaction that acts on the delivery.
CREATE TABLE deliveries (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    guid         TEXT NOT NULL UNIQUE,
    event        TEXT NOT NULL,
    received_at  INTEGER NOT NULL,
    body         BLOB NOT NULL,
    processed_at INTEGER,
    outcome      TEXT,
    tries        INTEGER NOT NULL DEFAULT 0,
    next_try_at  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX deliveries_open ON deliveries (seq) WHERE processed_at IS NULL;
CREATE INDEX deliveries_done ON deliveries (processed_at) WHERE processed_at IS NOT NULL;

CREATE TABLE runs (
    id           TEXT PRIMARY KEY,
    repo         TEXT NOT NULL,
    pr           INTEGER,
    head         TEXT NOT NULL,
    base         TEXT NOT NULL,
    base_ref     TEXT NOT NULL,
    tested       TEXT NOT NULL,
    -- Empty for every suite of the gate, else the chosen ones, so that a re-run of some is not a second run of all.
    scope        TEXT NOT NULL DEFAULT '',
    -- The earlier run whose failed specs alone are run again.
    retry_of     TEXT,
    trigger_kind TEXT NOT NULL,
    actor        TEXT NOT NULL,
    state        TEXT NOT NULL,
    generation   INTEGER NOT NULL DEFAULT 0,
    gate         TEXT NOT NULL,
    cancel       TEXT,
    -- How long the run's cluster is kept once the run is over, in seconds.
    hold_s       INTEGER,
    verdict      TEXT,
    message      TEXT,
    created_at   INTEGER NOT NULL,
    admitted_at  INTEGER,
    finished_at  INTEGER
) STRICT;
-- Whatever asks for it, and however often: one commit of a pull request has one live run of the same suites.
CREATE UNIQUE INDEX runs_once ON runs (repo, COALESCE(pr, 0), head, scope) WHERE state <> 'finished' AND cancel IS NULL;
CREATE INDEX runs_open ON runs (id) WHERE state <> 'finished';
CREATE INDEX runs_by_head ON runs (repo, head, id);
-- Lists go back in time by id, whatever they are filtered by.
CREATE INDEX runs_by_repo ON runs (repo, id);
CREATE INDEX runs_by_pr ON runs (pr, id);
CREATE INDEX runs_by_standing ON runs (state, verdict, id);
CREATE INDEX runs_by_repo_standing ON runs (repo, state, verdict, id);

-- What a suite of a run came to; a suite without a row is not concluded.
CREATE TABLE conclusions (
    run          TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    suite        TEXT NOT NULL,
    verdict      TEXT NOT NULL,
    description  TEXT NOT NULL,
    concluded_at INTEGER NOT NULL,
    PRIMARY KEY (run, suite)
) STRICT;

CREATE TABLE clusters (
    id           TEXT PRIMARY KEY,
    run          TEXT NOT NULL REFERENCES runs (id),
    plan         TEXT NOT NULL,
    state        TEXT NOT NULL,
    generation   INTEGER NOT NULL DEFAULT 0,
    message      TEXT,
    released_at  INTEGER,
    -- The run is over and somebody asked to keep the cluster until then.
    held_until   INTEGER,
    expires_at   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    ready_at     INTEGER,
    failed_at    INTEGER,
    destroyed_at INTEGER
) STRICT;
CREATE INDEX clusters_by_run ON clusters (run);
CREATE INDEX clusters_broken ON clusters (failed_at) WHERE failed_at IS NOT NULL;
CREATE INDEX clusters_open ON clusters (id) WHERE state <> 'destroyed';

CREATE TABLE setups (
    cluster     TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    stage       TEXT NOT NULL,
    state       TEXT NOT NULL,
    generation  INTEGER NOT NULL DEFAULT 0,
    message     TEXT,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (cluster, stage)
) STRICT;

CREATE TABLE attempts (
    id          TEXT PRIMARY KEY,
    run         TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    cluster     TEXT NOT NULL REFERENCES clusters (id),
    suite       TEXT NOT NULL,
    number      INTEGER NOT NULL,
    part        TEXT NOT NULL,
    skips       TEXT NOT NULL DEFAULT '[]',
    state       TEXT NOT NULL,
    generation  INTEGER NOT NULL DEFAULT 0,
    progress    TEXT NOT NULL,
    stop        TEXT,
    stop_at     INTEGER,
    evidence    TEXT,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    -- Whether its cases are part of the statistics.
    observed    INTEGER NOT NULL DEFAULT 0,
    -- Whether its cases are still here.
    has_cases   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (run, suite, number)
) STRICT;
CREATE INDEX attempts_open ON attempts (state) WHERE state <> 'done';
CREATE INDEX attempts_with_cases ON attempts (finished_at) WHERE has_cases = 1;

CREATE TABLE cases (
    attempt     TEXT NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    class       TEXT NOT NULL,
    name        TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    tries       INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    message     TEXT,
    PRIMARY KEY (attempt, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX cases_notable ON cases (attempt, seq) WHERE outcome IN ('failed', 'errored', 'flaky');

-- A spec over time: one row however often it ran. Streaks and last times stand here, so that a list reads no history.
CREATE TABLE specs (
    id           INTEGER PRIMARY KEY,
    repo         TEXT NOT NULL,
    suite        TEXT NOT NULL,
    class        TEXT NOT NULL,
    name         TEXT NOT NULL,
    seen_at      INTEGER NOT NULL,
    -- When it last failed or flaked.
    bad_at       INTEGER,
    -- How it was seen last: passed, flaky or failed; and whether that was news.
    last         TEXT NOT NULL,
    flipped      INTEGER NOT NULL DEFAULT 0,
    -- Passes at the first try in a row.
    clean        INTEGER NOT NULL DEFAULT 0,
    -- Failures in a row on a branch; a pull request's runs do not count.
    base_failing INTEGER NOT NULL DEFAULT 0,
    -- Pull requests that it failed in, newest first, at most ten: JSON.
    failed_in    TEXT NOT NULL DEFAULT '[]',
    UNIQUE (repo, suite, class, name)
) STRICT;
CREATE INDEX specs_bad ON specs (bad_at) WHERE bad_at IS NOT NULL;
CREATE INDEX specs_seen ON specs (seen_at);

-- What was seen of a spec on one day (counted from 1970): rows grow with specs and days, never with runs.
CREATE TABLE spec_days (
    spec   INTEGER NOT NULL REFERENCES specs (id) ON DELETE CASCADE,
    day    INTEGER NOT NULL,
    passed INTEGER NOT NULL,
    flaky  INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    flips  INTEGER NOT NULL,
    PRIMARY KEY (spec, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX spec_days_by_day ON spec_days (day);

-- Specs that entries of the run's skip list hit, and what came of them.
CREATE TABLE skip_hits (
    run     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    suite   TEXT NOT NULL,
    entry   INTEGER NOT NULL,
    spec    TEXT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (run, suite, entry, spec)
) STRICT, WITHOUT ROWID;

-- How a run's skip list fits its suites, found out before its cluster is asked for.
CREATE TABLE lints (
    run    TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    report TEXT NOT NULL
) STRICT;

-- Desired and published state of one context on one commit. `published_gen < desired_gen` means GitHub must be told.
CREATE TABLE statuses (
    repo            TEXT NOT NULL,
    sha             TEXT NOT NULL,
    context         TEXT NOT NULL,
    run             TEXT NOT NULL,
    state           TEXT NOT NULL,
    description     TEXT NOT NULL,
    target_url      TEXT NOT NULL,
    -- As a commit status or as a check run.
    report          TEXT NOT NULL,
    -- It was told as both, for the policy changed: what it comes to ends both, 0 or 1.
    in_both         INTEGER NOT NULL DEFAULT 0,
    desired_gen     INTEGER NOT NULL DEFAULT 1,
    -- The generation whose sending was begun last: a check run of it may exist, whether we know its number or not.
    begun_gen       INTEGER NOT NULL DEFAULT 0,
    published_gen   INTEGER NOT NULL DEFAULT 0,
    published_state TEXT,
    published_at    INTEGER,
    -- GitHub's number of the check run.
    check_run       INTEGER,
    -- Writes for the run that holds the context, and for all runs that ever did.
    writes          INTEGER NOT NULL DEFAULT 0,
    total           INTEGER NOT NULL DEFAULT 0,
    -- How often somebody else's word was put right for that run.
    repairs         INTEGER NOT NULL DEFAULT 0,
    tries           INTEGER NOT NULL DEFAULT 0,
    next_try_at     INTEGER NOT NULL DEFAULT 0,
    error           TEXT,
    -- Why GitHub will never be told.
    given_up        TEXT,
    PRIMARY KEY (repo, sha, context)
) STRICT;
CREATE INDEX statuses_due ON statuses (next_try_at) WHERE published_gen < desired_gen;
CREATE INDEX statuses_by_run ON statuses (run);

-- The one comment on a pull request that tells how its last run stands. `comment` is GitHub's number of it.
CREATE TABLE summaries (
    repo          TEXT NOT NULL,
    pr            INTEGER NOT NULL,
    run           TEXT NOT NULL,
    -- Hidden in the comment, so that it is found again when we stopped before its number was noted.
    mark          TEXT NOT NULL,
    comment       INTEGER,
    -- Posting has begun: from here on it may be there already, 0 or 1.
    begun         INTEGER NOT NULL DEFAULT 0,
    desired_gen   INTEGER NOT NULL DEFAULT 1,
    published_gen INTEGER NOT NULL DEFAULT 0,
    tries         INTEGER NOT NULL DEFAULT 0,
    next_try_at   INTEGER NOT NULL DEFAULT 0,
    error         TEXT,
    PRIMARY KEY (repo, pr)
) STRICT;
CREATE INDEX summaries_due ON summaries (next_try_at) WHERE published_gen < desired_gen;
CREATE INDEX summaries_by_run ON summaries (run);

-- What is known of a pull request from its webhooks: which commit was its head when somebody spoke, and since when.
CREATE TABLE pulls (
    repo           TEXT NOT NULL,
    number         INTEGER NOT NULL,
    head           TEXT NOT NULL,
    head_since     INTEGER NOT NULL,
    -- Who pushed that commit; unknown where no webhook told.
    pusher         TEXT,
    -- Somebody put the label on while it was a draft, so that it is tested as a draft too: 0 or 1.
    draft_labelled INTEGER NOT NULL DEFAULT 0,
    -- When the label that starts runs was put on last, by the forge's clock.
    labelled_at    INTEGER,
    PRIMARY KEY (repo, number)
) STRICT;

-- Commits that somebody who may has let in. No approval reaches further than its commit.
CREATE TABLE approvals (
    repo  TEXT NOT NULL,
    pr    INTEGER NOT NULL,
    sha   TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- Of this very commit, or by trust in whoever opened the pull request.
    basis TEXT NOT NULL,
    at    INTEGER NOT NULL,
    PRIMARY KEY (repo, pr, sha)
) STRICT;

-- Suites that somebody has declared unneeded on one commit.
CREATE TABLE waivers (
    repo   TEXT NOT NULL,
    sha    TEXT NOT NULL,
    suite  TEXT NOT NULL,
    kind   TEXT NOT NULL,
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (repo, sha, suite)
) STRICT;

-- Who did what, to which commit and why. Only added to.
CREATE TABLE audit (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    repo   TEXT NOT NULL,
    pr     INTEGER,
    sha    TEXT,
    run    TEXT,
    action TEXT NOT NULL,
    suite  TEXT,
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_sha ON audit (repo, sha, seq);
CREATE INDEX audit_by_pr ON audit (repo, pr, seq);

-- What the forge is to be told beside statuses: replies, reactions, labels taken off. Once per key.
CREATE TABLE messages (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    repo        TEXT NOT NULL,
    pr          INTEGER NOT NULL,
    message     TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    -- Sending has begun: from here on it may be there already.
    begun_at    INTEGER,
    sent_at     INTEGER,
    tries       INTEGER NOT NULL DEFAULT 0,
    next_try_at INTEGER NOT NULL DEFAULT 0,
    error       TEXT
) STRICT;
CREATE INDEX messages_due ON messages (next_try_at) WHERE sent_at IS NULL;
