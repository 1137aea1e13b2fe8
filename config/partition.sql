-- Divides the tables of account data into hash partitions by account_id (PostgreSQL 14 or newer); see scaling.md.
-- Stop every worker, take a backup, then: psql --single-transaction -v ON_ERROR_STOP=1 -f partition.sql DATABASE
-- Rows, keys, indexes, foreign keys and views stay, by the same names. All rows are copied once: the disk needs room
-- for a second copy of the largest table.

DO $$
DECLARE
    partitions CONSTANT int := 16;
    divided CONSTANT text[] := ARRAY['profile', 'dropbox_user', 'sender', 'never_log', 'record', 'record_address',
        'former_record', 'record_quota', 'email', 'email_content', 'email_owner', 'association', 'unmatched', 'event'];
    this text;
    kept record;
BEGIN
    CREATE TEMP TABLE kept_view ON COMMIT DROP AS
        SELECT viewname, definition FROM pg_views WHERE schemaname = current_schema();
    CREATE TEMP TABLE kept_key ON COMMIT DROP AS
        SELECT conrelid::regclass::text AS tab, conname, contype, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint
        WHERE connamespace = current_schema()::regnamespace AND contype IN ('p', 'u', 'f') AND conrelid <> 0;
    CREATE TEMP TABLE kept_index ON COMMIT DROP AS
        SELECT tablename::text AS tab, indexdef FROM pg_indexes
        WHERE schemaname = current_schema() AND indexname NOT IN (SELECT conname FROM kept_key);
    FOR kept IN SELECT * FROM kept_view LOOP
        EXECUTE format('DROP VIEW %I CASCADE', kept.viewname);
    END LOOP;
    FOR kept IN SELECT * FROM kept_key WHERE contype = 'f' LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', kept.tab, kept.conname);
    END LOOP;
    FOREACH this IN ARRAY divided LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', this, this || '_whole');
        EXECUTE format(
            'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)'
            ' PARTITION BY HASH (account_id)', this, this || '_whole');
        FOR number IN 0 .. partitions - 1 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                this || '_p' || number, this, partitions, number);
        END LOOP;
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', this, this || '_whole');
        EXECUTE format('DROP TABLE %I', this || '_whole');
        FOR kept IN SELECT * FROM kept_key WHERE tab = this AND contype <> 'f' LOOP
            EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I %s', this, kept.conname, kept.definition);
        END LOOP;
        FOR kept IN SELECT * FROM kept_index WHERE tab = this LOOP
            EXECUTE kept.indexdef;
        END LOOP;
    END LOOP;
    FOR kept IN SELECT * FROM kept_key WHERE contype = 'f' LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', kept.tab, kept.conname, kept.definition);
    END LOOP;
    FOR kept IN SELECT * FROM kept_view LOOP
        EXECUTE format('CREATE VIEW %I AS %s', kept.viewname, kept.definition);
    END LOOP;
END $$;
