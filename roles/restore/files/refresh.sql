SELECT format('ALTER DATABASE %I REFRESH COLLATION VERSION', datname)
FROM pg_database
WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)
UNION ALL
SELECT format('ALTER COLLATION %s REFRESH VERSION', oid::regcollation)
FROM pg_collation
WHERE collversion <> pg_collation_actual_version(oid)
\gexec
