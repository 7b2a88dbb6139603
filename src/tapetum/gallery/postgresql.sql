-- Galleries in PostgreSQL, by the names of schema.sql. Keys sort by code points ("C"). An embedding
-- stays in its row: out of line, comparing ten thousand would fetch each of them apart.

CREATE SCHEMA tapetum_galleries;

SET LOCAL search_path TO tapetum_galleries, {extensions};

CREATE TABLE file (version INTEGER NOT NULL);

CREATE TABLE galleries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0,
    removals BIGINT NOT NULL DEFAULT 0,
    UNIQUE (project, name)
);

CREATE TABLE entries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gallery BIGINT NOT NULL REFERENCES galleries ON DELETE CASCADE,
    key TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    mid TEXT NOT NULL,
    lat DOUBLE PRECISION,
    lng DOUBLE PRECISION,
    url TEXT NOT NULL,
    licence TEXT NOT NULL,
    credit TEXT NOT NULL,
    aliases TEXT NOT NULL,
    UNIQUE (gallery, key)
);

CREATE TABLE mentions (
    entry BIGINT NOT NULL REFERENCES entries ON DELETE CASCADE,
    page_url TEXT COLLATE "C" NOT NULL,
    title TEXT NOT NULL,
    alt TEXT NOT NULL,
    caption TEXT NOT NULL,
    language TEXT NOT NULL,
    PRIMARY KEY (entry, page_url)
);

-- code: pdq as the index compares it.
CREATE TABLE reference_images (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gallery BIGINT NOT NULL REFERENCES galleries ON DELETE CASCADE,
    entry BIGINT NOT NULL REFERENCES entries ON DELETE CASCADE,
    digest TEXT NOT NULL,
    source TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    pdq BYTEA NOT NULL,
    pdq_quality INTEGER NOT NULL,
    code BIT(256) NOT NULL GENERATED ALWAYS AS (('x' || encode(pdq, 'hex'))::BIT(256)) STORED,
    mean DOUBLE PRECISION NOT NULL,
    deviation DOUBLE PRECISION NOT NULL,
    highest DOUBLE PRECISION NOT NULL,
    model TEXT NOT NULL,
    UNIQUE (entry, digest)
);

CREATE INDEX reference_images_by_gallery ON reference_images (gallery, id);

CREATE INDEX reference_images_by_digest ON reference_images (gallery, digest);

CREATE TABLE embeddings (
    reference BIGINT PRIMARY KEY REFERENCES reference_images ON DELETE CASCADE,
    gallery BIGINT NOT NULL,
    model TEXT NOT NULL,
    embedding HALFVEC({dimensions}) NOT NULL
);

ALTER TABLE embeddings ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE INDEX embeddings_by_gallery ON embeddings (gallery);

CREATE TABLE local_features (
    reference BIGINT PRIMARY KEY REFERENCES reference_images ON DELETE CASCADE,
    features BYTEA NOT NULL
);

ALTER TABLE local_features ALTER COLUMN features SET STORAGE EXTERNAL
