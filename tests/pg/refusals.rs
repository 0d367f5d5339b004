//! What is repeated of a refusal is the same whether Rust or SQL says it.

use punctual::store::StoreError;
use tokio_postgres::error::DbError;

use crate::harness::TestDb;

#[tokio::test]
async fn sql_and_rust_say_the_same_of_a_refusal() {
    let db = TestDb::new().await;
    let client = db.client().await;
    client
        .batch_execute(
            "create table app_things (id int primary key, n int check (n > 0), owner int references app_things, \"we\"\"ird\" text not null default 'x');
             insert into app_things values (1, 1);
             create function say_no() returns void language plpgsql as $$ begin raise exception 'no texts to +12025550177, %', E'a\\nline'; end $$;
             create function deep() returns void language plpgsql as $$ begin perform say_no(); end $$;
             create function plain() returns int language sql as $$ select 1 / 0 $$",
        )
        .await
        .unwrap();
    let mut codes = std::collections::BTreeSet::new();
    for sql in [
        "insert into app_things values (1, 1)",
        "insert into app_things values (2, -1)",
        "insert into app_things values (3, 1, 99)",
        "insert into app_things values (4, 1, null, null)",
        "select no_such_column from app_things",
        "select 1 from no_such_table",
        "select no_such_function()",
        "select 'x +12025550177'::int",
        "select 1 / 0",
        "select 99999999999::int",
        "selec 'a text'",
        "select say_no()",
        "select deep()",
        "select plain()",
        "set role no_such_role",
        "select pg_advisory_lock(1, 2, 3)",
        "begin transaction read only; create table never (n int)",
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        let _ = client.batch_execute("rollback").await;
        let said: &DbError = error
            .as_db_error()
            .unwrap_or_else(|| panic!("{sql}: {error}"));
        codes.insert(said.code().code().to_owned());
        let row = client
            .query_one(
                "select punctual.refusal('this', $1, $2, $3, $4, $5, $6)",
                &[
                    &said.code().code(),
                    &said.message(),
                    &said.constraint(),
                    &said.table(),
                    &said.column(),
                    &said.where_(),
                ],
            )
            .await
            .unwrap();
        let by_sql: String = row.get(0);
        let step = "this";
        let by_rust = StoreError::Query {
            step,
            source: error,
        }
        .to_string();
        assert_eq!(by_sql, by_rust, "{sql}");
        assert!(
            !by_sql.contains("2025550177") && !by_sql.contains('\n'),
            "{by_sql}"
        );
    }
    assert!(codes.len() >= 9, "{codes:?}");
}
