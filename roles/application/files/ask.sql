-- Runs the query in LIFEBOAT_QUERY with the search path of the database, but not as a superuser: views and functions that it names are
-- code of their owners. Code called by REFRESH cannot change the role (a "security-restricted operation"), and the ROLLBACK leaves
-- nothing behind that could run later.
SELECT pg_catalog.current_setting('search_path') AS path \gset
SELECT pg_catalog.set_config('search_path', 'pg_catalog,pg_temp', false) AS safe \gset
\getenv query LIFEBOAT_QUERY
SELECT rolsuper AS is_superuser, 'lifeboat_' || replace(gen_random_uuid()::text, '-', '') AS own FROM pg_roles WHERE rolname = current_user \gset
\if :is_superuser
BEGIN;
SELECT set_config('lifeboat.query', :'query', true) AS query, set_config('lifeboat.search_path', :'path', true) AS path \gset unused_
CREATE ROLE :own NOLOGIN BYPASSRLS IN ROLE pg_read_all_data, pg_monitor;
CREATE SCHEMA :own;
CREATE FUNCTION :own.ask() RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer pg_catalog.text;
BEGIN
  PERFORM pg_catalog.set_config('search_path', pg_catalog.current_setting('lifeboat.search_path'), true);
  EXECUTE pg_catalog.current_setting('lifeboat.query') INTO answer;
  RETURN answer;
END $$;
CREATE MATERIALIZED VIEW :own.result AS SELECT :own.ask() AS answer WITH NO DATA;
GRANT USAGE ON SCHEMA :own TO :own;
ALTER MATERIALIZED VIEW :own.result OWNER TO :own;
SET LOCAL row_security = off;
REFRESH MATERIALIZED VIEW :own.result;
SELECT answer FROM :own.result;
ROLLBACK;
\else
SELECT set_config('search_path', :'path', false) AS unused \gset
:query
;
\endif
