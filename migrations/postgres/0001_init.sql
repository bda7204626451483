-- The first shape of the store. Times are milliseconds since 1970, enums are their lower-case names, lists and plans are JSON.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Webhooks as received. `processed_at` is set in the transaction that acts on the delivery.
CREATE TABLE deliveries (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    guid         TEXT NOT NULL UNIQUE,
    event        TEXT NOT NULL,
    received_at  BIGINT NOT NULL,
    body         BYTEA NOT NULL,
    processed_at BIGINT,
    outcome      TEXT,
    tries        BIGINT NOT NULL DEFAULT 0,
    next_try_at  BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_open ON deliveries (seq) WHERE processed_at IS NULL;
CREATE INDEX deliveries_done ON deliveries (processed_at) WHERE processed_at IS NOT NULL;

CREATE TABLE runs (
    id           TEXT PRIMARY KEY,
    repo         TEXT NOT NULL,
    pr           BIGINT,
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
    generation   BIGINT NOT NULL DEFAULT 0,
    gate         TEXT NOT NULL,
    cancel       TEXT,
    -- How long the run's cluster is kept once the run is over, in seconds.
    hold_s       BIGINT,
    verdict      TEXT,
    message      TEXT,
    created_at   BIGINT NOT NULL,
    admitted_at  BIGINT,
    finished_at  BIGINT
);
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
    concluded_at BIGINT NOT NULL,
    PRIMARY KEY (run, suite)
);

CREATE TABLE clusters (
    id           TEXT PRIMARY KEY,
    run          TEXT NOT NULL REFERENCES runs (id),
    plan         TEXT NOT NULL,
    state        TEXT NOT NULL,
    generation   BIGINT NOT NULL DEFAULT 0,
    message      TEXT,
    released_at  BIGINT,
    -- The run is over and somebody asked to keep the cluster until then.
    held_until   BIGINT,
    expires_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    ready_at     BIGINT,
    failed_at    BIGINT,
    destroyed_at BIGINT
);
CREATE INDEX clusters_by_run ON clusters (run);
CREATE INDEX clusters_broken ON clusters (failed_at) WHERE failed_at IS NOT NULL;
CREATE INDEX clusters_open ON clusters (id) WHERE state <> 'destroyed';

CREATE TABLE setups (
    cluster     TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    stage       TEXT NOT NULL,
    state       TEXT NOT NULL,
    generation  BIGINT NOT NULL DEFAULT 0,
    message     TEXT,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (cluster, stage)
);

CREATE TABLE attempts (
    id          TEXT PRIMARY KEY,
    run         TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    cluster     TEXT NOT NULL REFERENCES clusters (id),
    suite       TEXT NOT NULL,
    number      BIGINT NOT NULL,
    part        TEXT NOT NULL,
    skips       TEXT NOT NULL DEFAULT '[]',
    state       TEXT NOT NULL,
    generation  BIGINT NOT NULL DEFAULT 0,
    progress    TEXT NOT NULL,
    stop        TEXT,
    stop_at     BIGINT,
    evidence    TEXT,
    created_at  BIGINT NOT NULL,
    started_at  BIGINT,
    finished_at BIGINT,
    -- Whether its cases are part of the statistics.
    observed    BIGINT NOT NULL DEFAULT 0,
    -- Whether its cases are still here.
    has_cases   BIGINT NOT NULL DEFAULT 0,
    UNIQUE (run, suite, number)
);
CREATE INDEX attempts_open ON attempts (state) WHERE state <> 'done';
CREATE INDEX attempts_with_cases ON attempts (finished_at) WHERE has_cases = 1;

CREATE TABLE cases (
    attempt     TEXT NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    seq         BIGINT NOT NULL,
    class       TEXT NOT NULL,
    name        TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    tries       BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    message     TEXT,
    PRIMARY KEY (attempt, seq)
);
CREATE INDEX cases_notable ON cases (attempt, seq) WHERE outcome IN ('failed', 'errored', 'flaky');

-- A spec over time: one row however often it ran. Streaks and last times stand here, so that a list reads no history.
CREATE TABLE specs (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo         TEXT NOT NULL,
    suite        TEXT NOT NULL,
    class        TEXT NOT NULL,
    name         TEXT NOT NULL,
    seen_at      BIGINT NOT NULL,
    -- When it last failed or flaked.
    bad_at       BIGINT,
    -- How it was seen last: passed, flaky or failed; and whether that was news.
    last         TEXT NOT NULL,
    flipped      BIGINT NOT NULL DEFAULT 0,
    -- Passes at the first try in a row.
    clean        BIGINT NOT NULL DEFAULT 0,
    -- Failures in a row on a branch; a pull request's runs do not count.
    base_failing BIGINT NOT NULL DEFAULT 0,
    -- Pull requests that it failed in, newest first, at most ten: JSON.
    failed_in    TEXT NOT NULL DEFAULT '[]',
    UNIQUE (repo, suite, class, name)
);
CREATE INDEX specs_bad ON specs (bad_at) WHERE bad_at IS NOT NULL;
CREATE INDEX specs_seen ON specs (seen_at);

-- What was seen of a spec on one day (counted from 1970): rows grow with specs and days, never with runs.
CREATE TABLE spec_days (
    spec   BIGINT NOT NULL REFERENCES specs (id) ON DELETE CASCADE,
    day    BIGINT NOT NULL,
    passed BIGINT NOT NULL,
    flaky  BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    flips  BIGINT NOT NULL,
    PRIMARY KEY (spec, day)
);
CREATE INDEX spec_days_by_day ON spec_days (day);

-- Specs that entries of the run's skip list hit, and what came of them.
CREATE TABLE skip_hits (
    run     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    suite   TEXT NOT NULL,
    entry   BIGINT NOT NULL,
    spec    TEXT NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (run, suite, entry, spec)
);

-- How a run's skip list fits its suites, found out before its cluster is asked for.
CREATE TABLE lints (
    run    TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    report TEXT NOT NULL
);

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
    in_both         BIGINT NOT NULL DEFAULT 0,
    desired_gen     BIGINT NOT NULL DEFAULT 1,
    -- The generation whose sending was begun last: a check run of it may exist, whether we know its number or not.
    begun_gen       BIGINT NOT NULL DEFAULT 0,
    published_gen   BIGINT NOT NULL DEFAULT 0,
    published_state TEXT,
    published_at    BIGINT,
    -- GitHub's number of the check run.
    check_run       BIGINT,
    -- Writes for the run that holds the context, and for all runs that ever did.
    writes          BIGINT NOT NULL DEFAULT 0,
    total           BIGINT NOT NULL DEFAULT 0,
    -- How often somebody else's word was put right for that run.
    repairs         BIGINT NOT NULL DEFAULT 0,
    tries           BIGINT NOT NULL DEFAULT 0,
    next_try_at     BIGINT NOT NULL DEFAULT 0,
    error           TEXT,
    -- Why GitHub will never be told.
    given_up        TEXT,
    PRIMARY KEY (repo, sha, context)
);
CREATE INDEX statuses_due ON statuses (next_try_at) WHERE published_gen < desired_gen;
CREATE INDEX statuses_by_run ON statuses (run);

-- The one comment on a pull request that tells how its last run stands. `comment` is GitHub's number of it.
CREATE TABLE summaries (
    repo          TEXT NOT NULL,
    pr            BIGINT NOT NULL,
    run           TEXT NOT NULL,
    -- Hidden in the comment, so that it is found again when we stopped before its number was noted.
    mark          TEXT NOT NULL,
    comment       BIGINT,
    -- Posting has begun: from here on it may be there already, 0 or 1.
    begun         BIGINT NOT NULL DEFAULT 0,
    desired_gen   BIGINT NOT NULL DEFAULT 1,
    published_gen BIGINT NOT NULL DEFAULT 0,
    tries         BIGINT NOT NULL DEFAULT 0,
    next_try_at   BIGINT NOT NULL DEFAULT 0,
    error         TEXT,
    PRIMARY KEY (repo, pr)
);
CREATE INDEX summaries_due ON summaries (next_try_at) WHERE published_gen < desired_gen;
CREATE INDEX summaries_by_run ON summaries (run);
-- Webhook bodies do not shrink enough to pay for compressing them on the way in.
ALTER TABLE deliveries ALTER COLUMN body SET STORAGE EXTERNAL;

-- What is known of a pull request from its webhooks: which commit was its head when somebody spoke, and since when.
CREATE TABLE pulls (
    repo           TEXT NOT NULL,
    number         BIGINT NOT NULL,
    head           TEXT NOT NULL,
    head_since     BIGINT NOT NULL,
    -- Who pushed that commit; unknown where no webhook told.
    pusher         TEXT,
    -- Somebody put the label on while it was a draft, so that it is tested as a draft too: 0 or 1.
    draft_labelled BIGINT NOT NULL DEFAULT 0,
    -- When the label that starts runs was put on last, by the forge's clock.
    labelled_at    BIGINT,
    PRIMARY KEY (repo, number)
);

-- Commits that somebody who may has let in. No approval reaches further than its commit.
CREATE TABLE approvals (
    repo  TEXT NOT NULL,
    pr    BIGINT NOT NULL,
    sha   TEXT NOT NULL,
    actor TEXT NOT NULL,
    -- Of this very commit, or by trust in whoever opened the pull request.
    basis TEXT NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (repo, pr, sha)
);

-- Suites that somebody has declared unneeded on one commit.
CREATE TABLE waivers (
    repo   TEXT NOT NULL,
    sha    TEXT NOT NULL,
    suite  TEXT NOT NULL,
    kind   TEXT NOT NULL,
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (repo, sha, suite)
);

-- Who did what, to which commit and why. Only added to.
CREATE TABLE audit (
    seq    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    repo   TEXT NOT NULL,
    pr     BIGINT,
    sha    TEXT,
    run    TEXT,
    action TEXT NOT NULL,
    suite  TEXT,
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX audit_by_sha ON audit (repo, sha, seq);
CREATE INDEX audit_by_pr ON audit (repo, pr, seq);

-- What the forge is to be told beside statuses: replies, reactions, labels taken off. Once per key.
CREATE TABLE messages (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    repo        TEXT NOT NULL,
    pr          BIGINT NOT NULL,
    message     TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    -- Sending has begun: from here on it may be there already.
    begun_at    BIGINT,
    sent_at     BIGINT,
    tries       BIGINT NOT NULL DEFAULT 0,
    next_try_at BIGINT NOT NULL DEFAULT 0,
    error       TEXT
);
CREATE INDEX messages_due ON messages (next_try_at) WHERE sent_at IS NULL;
