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
    tested       TEXT NOT NULL,
    trigger_kind TEXT NOT NULL,
    actor        TEXT NOT NULL,
    state        TEXT NOT NULL,
    generation   BIGINT NOT NULL DEFAULT 0,
    gate         TEXT NOT NULL,
    cancel       TEXT,
    verdict      TEXT,
    message      TEXT,
    created_at   BIGINT NOT NULL,
    admitted_at  BIGINT,
    finished_at  BIGINT
);
-- Whatever asks for it, and however often: one commit of a pull request has one live run.
CREATE UNIQUE INDEX runs_once ON runs (repo, pr, head) WHERE state <> 'finished' AND cancel IS NULL;
CREATE INDEX runs_open ON runs (id) WHERE state <> 'finished';
-- Lists go back in time by id, whatever they are filtered by.
CREATE INDEX runs_by_repo ON runs (repo, id);
CREATE INDEX runs_by_pr ON runs (pr, id);
CREATE INDEX runs_by_standing ON runs (state, verdict, id);
-- Runs of the same code: what failed there and passes here is flaky.
CREATE INDEX runs_by_head ON runs (repo, head);
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
    expires_at   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    ready_at     BIGINT,
    destroyed_at BIGINT
);
CREATE INDEX clusters_by_run ON clusters (run);
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
    UNIQUE (run, suite, number)
);
CREATE INDEX attempts_open ON attempts (state) WHERE state <> 'done';

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

-- Desired and published state of one context on one commit. `published_gen < desired_gen` means GitHub must be told.
CREATE TABLE statuses (
    repo            TEXT NOT NULL,
    sha             TEXT NOT NULL,
    context         TEXT NOT NULL,
    run             TEXT NOT NULL,
    state           TEXT NOT NULL,
    description     TEXT NOT NULL,
    target_url      TEXT NOT NULL,
    desired_gen     BIGINT NOT NULL DEFAULT 1,
    published_gen   BIGINT NOT NULL DEFAULT 0,
    published_state TEXT,
    published_at    BIGINT,
    writes          BIGINT NOT NULL DEFAULT 0,
    tries           BIGINT NOT NULL DEFAULT 0,
    next_try_at     BIGINT NOT NULL DEFAULT 0,
    error           TEXT,
    PRIMARY KEY (repo, sha, context)
);
CREATE INDEX statuses_due ON statuses (next_try_at) WHERE published_gen < desired_gen;
CREATE INDEX statuses_by_run ON statuses (run);
-- Webhook bodies do not shrink enough to pay for compressing them on the way in.
ALTER TABLE deliveries ALTER COLUMN body SET STORAGE EXTERNAL;
