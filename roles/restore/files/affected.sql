-- Whether this database, or a collation used by one of its indexes, was created with another version.
SELECT EXISTS (
  SELECT FROM pg_database
  WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)
) OR EXISTS (
  SELECT FROM pg_collation
  WHERE collversion <> pg_collation_actual_version(oid)
  AND oid IN (SELECT unnest(indcollation::oid[]) FROM pg_index)
);
