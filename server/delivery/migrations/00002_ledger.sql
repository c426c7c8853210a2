-- The ledger in the bucket: each plan's entry there has what came before it.

-- +goose Up

ALTER TABLE delivery_cursors ADD COLUMN last TEXT COLLATE "binary" NOT NULL DEFAULT ''; -- the plan that moved the cursor last
