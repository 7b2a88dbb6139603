-- Galleries in SQLite. Large columns have tables of their own: whoever reads hashes of a
-- hundred thousand pictures does not page through their local features.

CREATE TABLE file (uid TEXT NOT NULL);

INSERT INTO file VALUES (lower(hex(randomblob(8))));

-- Numbers are never used twice: index files and searches in memory name rows by them.
-- revision counts changes, removals those that took reference images away.
CREATE TABLE galleries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    removals INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project, name)
);

CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    mid TEXT NOT NULL,
    lat REAL,
    lng REAL,
    url TEXT NOT NULL,
    licence TEXT NOT NULL,
    credit TEXT NOT NULL,
    aliases TEXT NOT NULL,
    UNIQUE (gallery, key)
);

CREATE TABLE mentions (
    entry INTEGER NOT NULL REFERENCES entries ON DELETE CASCADE,
    page_url TEXT NOT NULL,
    title TEXT NOT NULL,
    alt TEXT NOT NULL,
    caption TEXT NOT NULL,
    language TEXT NOT NULL,
    PRIMARY KEY (entry, page_url)
) WITHOUT ROWID;

CREATE TABLE reference_images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    gallery INTEGER NOT NULL REFERENCES galleries ON DELETE CASCADE,
    entry INTEGER NOT NULL REFERENCES entries ON DELETE CASCADE,
    digest TEXT NOT NULL,
    source TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    pdq BLOB NOT NULL,
    pdq_quality INTEGER NOT NULL,
    mean REAL NOT NULL,
    deviation REAL NOT NULL,
    highest REAL NOT NULL,
    model TEXT NOT NULL,
    UNIQUE (entry, digest)
);

CREATE INDEX reference_images_by_gallery ON reference_images (gallery, id);

CREATE INDEX reference_images_by_digest ON reference_images (gallery, digest);

CREATE TABLE embeddings (
    reference INTEGER PRIMARY KEY REFERENCES reference_images ON DELETE CASCADE,
    embedding BLOB NOT NULL
);

CREATE TABLE local_features (
    reference INTEGER PRIMARY KEY REFERENCES reference_images ON DELETE CASCADE,
    features BLOB NOT NULL
)
