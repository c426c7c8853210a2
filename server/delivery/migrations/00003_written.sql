-- What was written last is looked up without reading all that ever was.

-- +goose Up

CREATE INDEX delivery_plans_by_time ON delivery_plans (delivery, committed);
