//! Switches the planner of reminders on or off (`triggers/planner.sql`).

use tokio_postgres::Client;

use super::apply::{Part, apply};
use super::progress::Step;
use super::sources::literal;
use super::{File, MigrateError, Migrator, PROGRAM, Report};
use crate::store::Sql;
use crate::store::app::planner::is_on;
use crate::store::dsn::Dsn;

static IS_THERE: &Sql = sql!("../sql/planner_is_there.sql");
static LACKS: &Sql = sql!("../sql/planner_lacks.sql");
static INDEX: &Sql = sql!("../sql/planner_index.sql");
static TEMPLATE: &Sql = sql!("../sql/planner_template.sql");

/// The app's tables that are watched, as `punctual.planner_tables` has them.
const TABLES: [&str; 3] = ["task_calendar_events", "user_sms_preferences", "users"];

/// The text of the template that is created where the app has none.
const TEXT: &str = "{{event_name}} at {{local_time}}, in {{minutes}} minutes. {{event_link}}";

/// Whether it is to be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// On, or off.
    pub is_on: bool,
    /// The key of the template of its texts.
    pub template: String,
}

impl Migrator<'_> {
    /// The same, which also switches the planner; `None`: it stays as it is.
    #[must_use]
    pub fn with_planner(self, planner: Option<Switch>) -> Self {
        Self { planner, ..self }
    }

    /// Whether the planner is on in the database, as a daemon needs it that is to plan.
    pub async fn check_planner(&self, dsn: &Dsn) -> Result<bool, MigrateError> {
        self.in_session(dsn, async |client| state(client).await)
            .await
    }
}

async fn state(client: &Client) -> Result<bool, MigrateError> {
    is_on(client).await.map_err(|error| MigrateError::Planner {
        why: error.to_string(),
    })
}

/// Switches it as wanted, and reports what it has changed.
pub(super) async fn switch(
    client: &Client,
    wanted: Option<&Switch>,
    progress: &(dyn Fn(Step<'_>) + Sync),
    report: &mut Report,
) -> Result<(), MigrateError> {
    let row = client.query_one(IS_THERE.text(), &[]).await;
    let row = row.map_err(MigrateError::Record)?;
    if !row.try_get(0).map_err(MigrateError::Record)? {
        return Ok(());
    }
    let was_on = state(client).await?;
    let Some(wanted) = wanted else {
        let note = "the planner is on in this database, and the settings do not say so: set planner.enabled to true, or to \
                    false and run this again";
        report.notes.extend(was_on.then(|| note.to_owned()));
        return Ok(());
    };
    if !wanted.is_on {
        if was_on {
            watch(client, false).await?;
            call(client, "select punctual.planner_switch(false)").await?;
            report.app.push("the planner is off".to_owned());
        }
        return Ok(());
    }
    let row = client.query_one(LACKS.text(), &[]).await;
    let row = row.map_err(MigrateError::Record)?;
    let lacks: Vec<String> = row.try_get(0).map_err(MigrateError::Record)?;
    if !lacks.is_empty() {
        let why = lacks.join("; ");
        return Err(MigrateError::Planner { why });
    }
    let row = client
        .query_one(TEMPLATE.text(), &[&wanted.template, &TEXT])
        .await
        .map_err(MigrateError::Record)?;
    let made: Option<bool> = row.try_get(0).map_err(MigrateError::Record)?;
    let Some(is_made) = made else {
        let key = &wanted.template;
        let why =
            format!("sms_templates has no template {key}, and none can be inserted: insert one");
        return Err(MigrateError::Planner { why });
    };
    report.indexes.extend(index(client, progress).await?);
    watch(client, true).await?;
    if !was_on {
        call(client, "select punctual.planner_switch(true)").await?;
    }
    let made = if is_made {
        format!(", with a new row {} of sms_templates", wanted.template)
    } else {
        String::new()
    };
    let is_changed = !was_on || is_made;
    let on = is_changed.then(|| format!("the planner is on{made}"));
    report.app.extend(on);
    Ok(())
}

/// Each table in a transaction of its own, because no other may lock two of the app's.
async fn watch(client: &Client, is_on: bool) -> Result<(), MigrateError> {
    for table in TABLES {
        let table = literal(table);
        call(
            client,
            &format!("select punctual.planner_watch({table}, {is_on})"),
        )
        .await?;
    }
    Ok(())
}

async fn call(client: &Client, sql: &str) -> Result<(), MigrateError> {
    let file = File {
        name: "the planner",
        sql,
    };
    apply(client, &[Part::unrecorded(file)], PROGRAM).await
}

/// Builds the indexes by which events are found, beside the app's writes; returns the names of those that were missing.
async fn index(
    client: &Client,
    progress: &(dyn Fn(Step<'_>) + Sync),
) -> Result<Vec<String>, MigrateError> {
    let mut built = Vec::new();
    let rows = client.query(INDEX.text(), &[]).await;
    for row in rows.map_err(MigrateError::Record)? {
        let index: String = row.try_get("name").map_err(MigrateError::Record)?;
        let statement: String = row.try_get("statement").map_err(MigrateError::Record)?;
        progress(Step::Index { name: &index });
        match client.batch_execute(&statement).await {
            Ok(()) => built.push(index),
            Err(source) => return Err(MigrateError::Index { index, source }),
        }
    }
    Ok(built)
}
