-- +goose Up

-- The plans of large builds that are under way: they are committed in chunks. Which pipelines
-- are below the build, whether its CiPipeline was suspended, and when it was planned is fixed
-- with the first row. A plan is deleted, and ci_build.planned_at set, with its last chunk.
CREATE TABLE plan (
    build_uid   text PRIMARY KEY,
    namespace   text NOT NULL,
    ci_pipeline text NOT NULL,
    suspended   boolean NOT NULL,
    runs        integer NOT NULL DEFAULT 0,
    filter_cost bigint NOT NULL DEFAULT 0,
    began_at    timestamptz NOT NULL DEFAULT now(),
    moved_at    timestamptz NOT NULL DEFAULT now()
);

-- What is left of each plan, in the order of its chunks: each chunk deletes its rows. The
-- build's own children come first, and have no root; what is further below has the child of
-- the build as its root.
CREATE TABLE plan_pipeline (
    build_uid    text NOT NULL REFERENCES plan ON DELETE CASCADE,
    place        integer NOT NULL,
    pipeline_uid text NOT NULL,
    pipeline     text NOT NULL,
    generation   bigint NOT NULL,
    root_uid     text NOT NULL DEFAULT '',
    root         text NOT NULL DEFAULT '',
    PRIMARY KEY (build_uid, place)
);

-- +goose Down
DROP TABLE plan_pipeline;
DROP TABLE plan;
