//! Expressions over the catalog, for the statements of doctor.

/// Whether a trigger is for a column that is not there: `e` has its name, and the alias is its table's.
pub(super) const IS_WITHOUT_COLUMN: &str = "(e.name = 'zzz_punctual_media'
      and not exists (select from pg_catalog.pg_attribute a
                       where a.attrelid = $oid and a.attname = 'media_url' and not a.attisdropped))";

/// The source of a function, also of one with a body in standard SQL, prepared for a search: in lower case, without
/// comments and literals, and with no space before a parenthesis.
pub(super) const PLAIN_SOURCE: &str =
    "regexp_replace(regexp_replace(regexp_replace(regexp_replace(
       lower(coalesce(nullif($prosrc, ''), pg_get_function_sqlbody($oid))),
     '/\\*.*?\\*/', ' ', 'g'), '--[^\n]*', ' ', 'g'), '''[^'']*''', '''''', 'g'), '\\s+\\(', '(', 'g')";

/// Whether this row's `source` calls the function `p`.
pub(super) const CALLS: &str = "(position(lower(p.proname) || '(' in $source) > 0
      and $source ~ ('(^|[^a-z0-9_])' || regexp_replace(lower(p.proname), '[^a-z0-9_]', '.', 'g') || '\\('))";

/// Whether this row's `source` makes requests: by `pg_net`, the extension `http`, or another database.
pub(super) const MAKES_REQUESTS: &str = "$source ~ '\\mhttp(_[a-z]+)?\\(|\\mnet\\.|\\mdblink'";

/// This session's role, and every one that may write the ledger and is not a superuser: the roles
/// of daemons.
pub(super) const DAEMON_ROLES: &str =
    "(select r.oid, r.rolname, r.rolsuper or r.rolbypassrls as sees_all
       from pg_catalog.pg_roles r
      where r.rolname = current_user
         or r.rolcanlogin and not r.rolsuper
            and exists (select from pg_catalog.pg_class c
                          join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                         where n.nspname = 'punctual' and c.relname = 'attempts'
                           and has_table_privilege(r.oid, c.oid, 'INSERT')))";
