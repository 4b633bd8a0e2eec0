//! The server, the template of all databases, and Trunkline before it.

use std::cell::Cell;

use tokio_postgres::Client;
use trunkline_testkit::{Cluster, Result, Trunkline};

use crate::player::Place;

/// Who plays the scripts. It is no superuser.
pub const USER: &str = "talker";
/// Its password.
pub const PASSWORD: &str = "talker-password";

/// Clients that play at once.
pub const CLIENTS: usize = 64;

/// Servers that they share.
pub const SERVERS: usize = 3;

const TEMPLATE: &str = "template_of_scripts";

/// Backends: those of the direct connections, of pools of earlier batches and of the test itself.
const BACKENDS: u32 = 300;

/// What is the same in every copy. The tables and sequences of the clients come on top.
const TEMPLATE_SQL: &str = "\
    CREATE SCHEMA red; CREATE SCHEMA blue; GRANT USAGE ON SCHEMA red, blue TO PUBLIC;\
    CREATE TABLE public.place AS SELECT 'public'::text AS place;\
    CREATE TABLE red.place AS SELECT 'red'::text AS place;\
    CREATE TABLE blue.place AS SELECT 'blue'::text AS place;\
    GRANT SELECT ON public.place, red.place TO PUBLIC;\
    CREATE FUNCTION public.hide(name text, value text) RETURNS text LANGUAGE plpgsql AS \
        $$ BEGIN RETURN set_config(name, value, false); END $$;\
    CREATE FUNCTION public.let_tenant(value text) RETURNS text LANGUAGE plpgsql AS \
        $$ BEGIN RETURN set_config('app.tenant', value, false); END $$;\
    CREATE FUNCTION public.let_memory(value text) RETURNS text LANGUAGE plpgsql AS \
        $$ BEGIN RETURN set_config('work_mem', value, false); END $$;";

/// The server, for direct connections and for those of any Trunkline.
#[derive(Debug)]
pub struct Stage {
    cluster: Cluster,
    witness: Client,
    fresh_oid: u32,
    strategy: &'static str,
    copies: Cell<usize>,
}

impl Stage {
    /// Starts the server and makes the template.
    pub async fn set() -> Result<Self> {
        let cluster = Cluster::builder()
            .setting("autovacuum", "off")
            .setting("max_connections", BACKENDS)
            // Known limit: what others have executed counts when PostgreSQL decides whether to plan a statement for its
            // values, so an error that planning finds may come at Bind or at Execute.
            .setting("plan_cache_mode", "force_custom_plan")
            .hba(&format!("host all {USER} 127.0.0.1/32 trust"))
            .user(USER, PASSWORD)
            .initial_sql("postgres", &format!("CREATE ROLE friend; GRANT friend TO {USER}"))
            .database(TEMPLATE, "postgres")
            .initial_sql(TEMPLATE, &template_sql())
            .start()
            .await?;
        let node = cluster.primary();
        let greatest = "SELECT max(oid::int8) + 1 FROM pg_class";
        let fresh_oid = node.query_text(TEMPLATE, greatest).await?.parse()?;
        let witness = node.connect("postgres").await?;
        // Less than half the work of a copy that goes through the WAL, as it does since version 15.
        let strategy = if cluster.binaries().major() >= 15 { "STRATEGY file_copy" } else { "" };
        Ok(Self { cluster, witness, fresh_oid, strategy, copies: Cell::new(0) })
    }

    /// A Trunkline before the server, with this in its environment.
    pub async fn trunkline(&self, environment: &[(&str, &str)]) -> Result<Trunkline> {
        let mut options = Trunkline::builder()
            .cluster(&self.cluster)
            .user(USER, PASSWORD)
            .set("auth", "method", "trust")
            .set("pool", "mode", "transaction")
            .set("pool", "size", i64::try_from(SERVERS)?)
            // The scheduler sees to it that there is always a server left.
            .set("pool", "max_pinned", i64::try_from(SERVERS)?)
            .set("console", "admin_users", vec![USER]);
        for (name, value) in environment {
            options = options.environment(name, value);
        }
        options.start().await
    }

    /// A new copy of the template, and the way to it through Trunkline, or directly.
    pub async fn copy(&self, through: Option<&Trunkline>) -> Result<Place> {
        let number = self.copies.replace(self.copies.get() + 1);
        let (database, strategy) = (format!("copy_{number:05}"), self.strategy);
        let create = format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE} {strategy}");
        self.witness.batch_execute(&create).await?;
        let direct = self.cluster.primary().address();
        let address = through.map_or(direct, Trunkline::address);
        Ok(Place { address, database, fresh_oid: self.fresh_oid })
    }

    /// Removes a copy with all its connections.
    pub async fn remove(&self, place: Place) -> Result<()> {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", place.database);
        Ok(self.witness.batch_execute(&drop).await?)
    }
}

/// A server that makes the schema of its temporary tables for the first time makes all others analyse their prepared
/// statements anew, and that at any time. So these schemas are there.
const SCHEMAS_SQL: &str = "SET allow_system_table_mods = on;\
    DO $$ BEGIN FOR n IN 0..400 LOOP \
        EXECUTE format('CREATE SCHEMA pg_temp_%1$s; CREATE SCHEMA pg_toast_temp_%1$s', n); END LOOP; END $$;";

fn template_sql() -> String {
    let mut sql = [TEMPLATE_SQL, SCHEMAS_SQL].concat();
    for slot in 0..CLIENTS {
        sql.extend([format!(
            "CREATE TABLE public.own_{slot:02} (id int PRIMARY KEY, note text);\
             INSERT INTO public.own_{slot:02} VALUES (0, 'first');\
             CREATE SEQUENCE public.ticket_{slot:02};\
             ALTER TABLE public.own_{slot:02} OWNER TO {USER};\
             ALTER SEQUENCE public.ticket_{slot:02} OWNER TO {USER};"
        )]);
    }
    sql
}
