//! The names of all settings in each layer, and suggestions for misspelt ones.

/// Names another path of the settings file. Not a setting itself.
pub(super) const FILE_VAR: &str = "PUNCTUAL_CONFIG";

/// Variables with this prefix that are not settings of the daemon: its settings file, the Postgres
/// of demo and tests, the number of simulated worlds, the benchmark's binary.
pub(super) const NOT_SETTINGS: [&str; 4] = [
    FILE_VAR,
    "PUNCTUAL_PG_BIN",
    "PUNCTUAL_SIM_SEEDS",
    "PUNCTUAL_BIN",
];

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// The environment variable.
    pub(super) env: &'static str,
    /// The key in the file; a dot enters a table.
    pub(super) file: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// May be repeated in an error.
    Plain,
    /// The same, and empty is a value of its own.
    Emptiable,
    /// A phone number, or a URL that may contain a password: never repeated.
    Private,
    /// Never repeated, and may come from a file.
    Secret,
}

/// Every setting, as a constant and in [`ALL`].
macro_rules! settings {
    ($($name:ident $kind:ident $env:literal $file:literal;)*) => {
        $(pub(super) const $name: Setting =
            Setting { env: $env, file: $file, kind: Kind::$kind };)*
        pub(super) const ALL: &[&Setting] = &[$(&$name),*];
    };
}

settings! {
    DATABASE_URL   Secret  "DATABASE_URL"            "database_url";
    SCHEMA         Plain   "PUNCTUAL_SCHEMA"         "schema";
    CHANGES        Plain   "PUNCTUAL_CHANGES"        "changes";
    POLL_EVERY     Plain   "PUNCTUAL_POLL_EVERY"     "poll_every";
    HTTP_ADDR      Plain   "PUNCTUAL_HTTP_ADDR"      "http_addr";
    WEBHOOK_ADDR   Plain   "PUNCTUAL_WEBHOOK_ADDR"   "webhook_addr";
    PUBLIC_URL     Private "PUNCTUAL_PUBLIC_URL"     "public_url";
    LINK_URL       Private "PUNCTUAL_LINK_URL"       "link_url";
    DEBUG_TOKEN    Secret  "PUNCTUAL_DEBUG_TOKEN"    "debug_token";
    OPERATOR_TOKEN Secret  "PUNCTUAL_OPERATOR_TOKEN" "operator_token";
    PROVIDER       Plain   "PUNCTUAL_PROVIDER"       "provider";
    ROUTES         Plain   "PUNCTUAL_ROUTES"         "routes";
    HORIZON        Plain   "PUNCTUAL_HORIZON"        "horizon";
    LEAD           Plain   "PUNCTUAL_LEAD"           "lead";
    MAX_IN_FLIGHT  Plain   "PUNCTUAL_MAX_IN_FLIGHT"  "max_in_flight";
    SEND_TIMEOUT   Plain   "PUNCTUAL_SEND_TIMEOUT"   "send_timeout";
    LEASE          Plain   "PUNCTUAL_LEASE"          "lease";
    IN_DOUBT       Plain   "PUNCTUAL_IN_DOUBT"       "in_doubt";
    MAX_LATENESS   Plain   "PUNCTUAL_MAX_LATENESS"   "max_lateness";
    STATE_DIR      Plain   "PUNCTUAL_STATE_DIR"      "state_dir";
    TIMEZONE       Plain   "PUNCTUAL_TIMEZONE"       "timezone";
    BUSINESS_HOURS Plain   "PUNCTUAL_BUSINESS_HOURS" "business_hours";
    HOURS_BY_TYPE  Plain   "PUNCTUAL_HOURS_BY_TYPE"  "hours_by_type";
    HOURS_BY_CAMPAIGN Plain "PUNCTUAL_HOURS_BY_CAMPAIGN" "hours_by_campaign";
    CAMPAIGN_HOURS Plain   "PUNCTUAL_CAMPAIGN_HOURS" "campaign.hours";
    CAMPAIGN_TIMEZONE Plain "PUNCTUAL_CAMPAIGN_TIMEZONE" "campaign.timezone";
    PLANNER        Plain   "PUNCTUAL_PLANNER"          "planner.enabled";
    PLANNER_LEAD   Plain   "PUNCTUAL_PLANNER_LEAD"     "planner.lead";
    PLANNER_TEMPLATE Plain "PUNCTUAL_PLANNER_TEMPLATE" "planner.template";
    LAWFUL_HOURS   Plain   "PUNCTUAL_LAWFUL_HOURS"   "lawful.hours";
    TRANSACTIONAL_TYPES Plain "PUNCTUAL_TRANSACTIONAL_TYPES" "lawful.transactional_types";
    URGENT_PASSES  Plain   "PUNCTUAL_URGENT_PASSES_QUIET_HOURS" "urgent_passes_quiet_hours";
    LIMIT_SOURCE   Plain   "PUNCTUAL_LIMIT_SOURCE"   "limit_source";
    COUNTRIES      Plain   "PUNCTUAL_COUNTRIES"      "guards.countries";
    PREMIUM        Plain   "PUNCTUAL_PREMIUM"        "guards.premium";
    PRICES         Plain   "PUNCTUAL_PRICES"         "guards.prices";
    CURRENCY       Plain   "PUNCTUAL_CURRENCY"       "guards.currency";
    COST_CAP       Plain   "PUNCTUAL_COST_CAP"       "guards.cost_cap";
    COST_CAP_CAMPAIGN Plain "PUNCTUAL_COST_CAP_CAMPAIGN" "guards.cost_cap_campaign";
    COST_CAP_USER  Plain   "PUNCTUAL_COST_CAP_USER"  "guards.cost_cap_user";
    BURST          Plain   "PUNCTUAL_BURST"          "guards.burst";
    OTHER_NUMBERS  Plain   "PUNCTUAL_OTHER_NUMBERS"  "other_numbers";
    RETRY_CARRIER  Plain   "PUNCTUAL_RETRY_CARRIER"  "retry_carrier";
    MISSING_EVENTS Plain   "PUNCTUAL_MISSING_EVENTS" "missing_events";
    PART_SEPARATOR Emptiable "PUNCTUAL_PART_SEPARATOR" "part_separator";
    PART_GAP       Plain   "PUNCTUAL_PART_GAP"       "part_gap";
    HELP_TEXT      Plain   "PUNCTUAL_HELP_TEXT"      "help_text";
    VALIDATE       Plain   "PUNCTUAL_VALIDATE"       "validate";
    RETENTION      Plain   "PUNCTUAL_RETENTION"      "retention";
    TEXT_RETENTION Plain   "PUNCTUAL_TEXT_RETENTION" "text_retention";
    LOG            Plain   "RUST_LOG"                "log";
    LOG_FORMAT     Plain   "PUNCTUAL_LOG_FORMAT"     "log_format";
    WEBHOOK_SECRET Secret  "PUNCTUAL_WEBHOOK_SECRET" "webhook.secret";
    WEBHOOK_ALLOW  Plain   "PUNCTUAL_WEBHOOK_ALLOW"  "webhook.allow";
    WEBHOOK_URLS   Private "PUNCTUAL_WEBHOOK_URLS"   "webhook.urls";
    JOB_URLS       Private "PUNCTUAL_JOB_URLS"       "job_urls";
    SMTP           Private "PUNCTUAL_SMTP"           "smtp.server";
    SMTP_USER      Private "PUNCTUAL_SMTP_USER"      "smtp.user";
    SMTP_PASSWORD  Secret  "PUNCTUAL_SMTP_PASSWORD"  "smtp.password";
    SMTP_FROM      Private "PUNCTUAL_SMTP_FROM"      "smtp.from";
    UNSUBSCRIBE_URL Private "PUNCTUAL_UNSUBSCRIBE_URL" "smtp.unsubscribe_url";
    VAPID_PRIVATE  Secret  "PUNCTUAL_VAPID_PRIVATE_KEY" "webpush.private_key";
    VAPID_PUBLIC   Plain   "PUNCTUAL_VAPID_PUBLIC_KEY"  "webpush.public_key";
    VAPID_SUBJECT  Private "PUNCTUAL_VAPID_SUBJECT"     "webpush.subject";
    PUSH_ALLOW     Plain   "PUNCTUAL_PUSH_ALLOW"        "webpush.push_allow";
    IN_APP         Plain   "PUNCTUAL_IN_APP"         "in_app";
    LLM_URL        Private "PUNCTUAL_LLM_URL"        "llm.url";
    LLM_MODEL      Plain   "PUNCTUAL_LLM_MODEL"      "llm.model";
    LLM_API_KEY    Secret  "PUNCTUAL_LLM_API_KEY"    "llm.api_key";
    LLM_TIMEOUT    Plain   "PUNCTUAL_LLM_TIMEOUT"    "llm.timeout";
    LLM_CONCURRENCY Plain  "PUNCTUAL_LLM_CONCURRENCY" "llm.concurrency";
    LLM_PRICE_IN   Plain   "PUNCTUAL_LLM_PRICE_IN"   "llm.price_in";
    LLM_PRICE_OUT  Plain   "PUNCTUAL_LLM_PRICE_OUT"  "llm.price_out";
    LLM_BUDGET     Plain   "PUNCTUAL_LLM_BUDGET"     "llm.budget";
    MODEM          Plain   "PUNCTUAL_MODEM"          "modem.port";
    MODEM_PIN      Secret  "PUNCTUAL_MODEM_PIN"      "modem.pin";
    ACCOUNT_SID    Private "TWILIO_ACCOUNT_SID"      "twilio.account_sid";
    AUTH_TOKEN     Secret  "TWILIO_AUTH_TOKEN"       "twilio.auth_token";
    API_KEY        Secret  "TWILIO_API_KEY"          "twilio.api_key";
    API_SECRET     Secret  "TWILIO_API_SECRET"       "twilio.api_secret";
    API_BASE_URL   Private "TWILIO_API_BASE_URL"     "twilio.api_base_url";
    SERVICE_SID    Private "TWILIO_MESSAGING_SERVICE_SID" "twilio.messaging_service_sid";
    FROM_NUMBER    Private "TWILIO_SMS_FROM_NUMBER"    "twilio.sms_from_number";
    TEST1_NUMBER   Private "TWILIO_TEST1_PHONE_NUMBER" "twilio.test1_phone_number";
    PHONE_NUMBER   Private "TWILIO_PHONE_NUMBER"       "twilio.phone_number";
    MAIN_NUMBER    Private "TWILIO_MAIN_PHONE_NUMBER"  "twilio.main_phone_number";
}

/// What chooses an account in the settings file: the senders of its messages. Only of accounts next to the default one.
pub(super) const SENDERS: Setting = Setting {
    env: "accounts.NAME.senders",
    file: "senders",
    kind: Kind::Private,
};

/// The keys of an account, a table in the settings file: each is the setting of the default account without its table.
pub(super) const OF_ACCOUNT: [&Setting; 23] = [
    &PROVIDER,
    &ACCOUNT_SID,
    &AUTH_TOKEN,
    &API_KEY,
    &API_SECRET,
    &API_BASE_URL,
    &SERVICE_SID,
    &FROM_NUMBER,
    &SENDERS,
    &WEBHOOK_SECRET,
    &WEBHOOK_ALLOW,
    &SMTP,
    &SMTP_USER,
    &SMTP_PASSWORD,
    &SMTP_FROM,
    &UNSUBSCRIBE_URL,
    &VAPID_PRIVATE,
    &VAPID_PUBLIC,
    &VAPID_SUBJECT,
    &PUSH_ALLOW,
    &IN_APP,
    &MODEM,
    &MODEM_PIN,
];

impl Setting {
    /// The key in the table of an account.
    pub(super) fn of_account(&self) -> &'static str {
        self.file.rsplit('.').next().unwrap_or(self.file)
    }
}

pub(super) fn is_known(
    name: &str,
    spelling: impl Fn(&Setting) -> &'static str,
    suffix: &str,
) -> bool {
    ALL.iter().any(|setting| {
        let key = spelling(setting);
        let by_file = || name.strip_suffix(suffix) == Some(key);
        name == key || (setting.kind == Kind::Secret && by_file())
    })
}

/// Whether empty is a value of this key, and does not mean that it is not set.
pub(super) fn may_be_empty(name: &str, spelling: impl Fn(&Setting) -> &'static str) -> bool {
    ALL.iter()
        .any(|setting| setting.kind == Kind::Emptiable && name == spelling(setting))
}

/// The key that is closest to a misspelt one, if any is close.
pub(super) fn similar(name: &str, spelling: impl Fn(&Setting) -> &'static str) -> Option<String> {
    /// Below this a suggestion would mislead.
    const CLOSE: f64 = 0.6;
    // The prefix does not count: it is often added to other names by mistake.
    let bare = |key: &str| key.trim_start_matches("PUNCTUAL_").to_owned();
    let likeness = |key: &str| strsim::normalized_damerau_levenshtein(&bare(name), &bare(key));
    ALL.iter()
        .map(|setting| spelling(setting))
        .map(|key| (likeness(key), key))
        .filter(|(likeness, _)| *likeness > CLOSE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key.to_owned())
}

/// Whether a variable is one that Kubernetes sets in every container for a Service named
/// `punctual…`: `…_SERVICE_HOST`, `…_SERVICE_PORT…`, and `…_PORT…` with addresses in it.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.contains("_PORT") && address)
        || ["_TCP_", "_UDP_", "_SCTP_"]
            .iter()
            .any(|part| name.contains("_PORT_") && name.contains(part))
}
