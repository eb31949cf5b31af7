"""DBeaver: the statements that its PostgreSQL dialect sends when it connects and when schemas and tables are opened.

They are taken from DBeaver 25.1 (org.jkiss.dbeaver.ext.postgresql: PostgreDataSource, PostgreDatabase, PostgreSchema,
PostgreTableBase, PostgreUtils) and from its own log of a session.
"""

import re

import pytest
from conftest import Server

CONNECT = [
    "SET extra_float_digits = 3",
    "SET application_name = 'PostgreSQL JDBC Driver'",
    "SET application_name = 'DBeaver 25.1.5 - Main <streamreel>'",
    "SELECT current_schema(),session_user",
    "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid"
    " AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname",
    "SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n"
    " ON t.typnamespace = n.oid WHERE t.oid = 1034",
    "SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid   FROM pg_catalog.pg_type"
    "   LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r           from pg_namespace as ns           join ( select s.r,"
    " (current_schemas(false))[s.r] as nspname                    from generate_series(1, array_upper(current_schemas(false), 1))"
    " as s(r) ) as r          using ( nspname )        ) as sp     ON sp.nspoid = typnamespace  WHERE pg_type.oid = 1034"
    "  ORDER BY sp.r, pg_type.oid DESC",
    "SHOW search_path",
    "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='streamreel'",
    "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate OR db.datname ='streamreel'"
    " ORDER BY db.datname",
    "SELECT * FROM pg_catalog.pg_settings where name='standard_conforming_strings'",
    "SELECT string_agg(word, ',' ) from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs,absolute,action}'::text[])",
    "SELECT version()",
    "SELECT * FROM pg_catalog.pg_enum WHERE 1<>1 LIMIT 1",
    "SELECT reltype FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1",
    "SELECT relispartition FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1",
    "SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description"
    "\nFROM pg_catalog.pg_type t\nLEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem \nLEFT OUTER JOIN pg_catalog.pg_class c"
    " ON c.oid=t.typrelid\nLEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid\nWHERE t.typname IS NOT NULL\nAND"
    " (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C')",
    "SELECT e.oid, cfg.tbls, n.nspname as schema_name, e.* FROM pg_catalog.pg_extension e  join pg_catalog.pg_namespace n on n.oid"
    " =e.extnamespace left join  (select ftbls.oid, string_agg(ftbls.table_ref, ',') as tbls from (select e2.oid,"
    " c.relname as table_ref from pg_catalog.pg_extension e2 join pg_catalog.pg_class c on c.oid = e2.extnamespace) as ftbls"
    " group by ftbls.oid) as cfg on cfg.oid = e.oid",
    "select * from pg_catalog.pg_roles a ORDER BY a.rolname",
    "SELECT t.oid,t.* FROM pg_catalog.pg_tablespace t ORDER BY t.oid",
    "SELECT l.oid,l.* FROM pg_catalog.pg_language l ORDER BY l.oid",
    "SELECT c.oid,c.* FROM pg_catalog.pg_collation c ORDER BY c.oid",
    "SELECT a.oid,a.* FROM pg_catalog.pg_am a ORDER BY a.oid",
    "SELECT pg_catalog.pg_encoding_to_char(6)",
]
SCHEMA = [
    "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, "
    " pg_catalog.pg_get_partkeydef(c.oid) as partition_key \nFROM pg_catalog.pg_class c\nLEFT OUTER JOIN"
    " pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass"
    "\nWHERE c.relnamespace={schema} AND c.relkind not in ('i','I','c')",
    "select c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size"
    "\nFROM pg_class c\nWHERE c.relnamespace={schema}",
    "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid"
    "\nFROM pg_catalog.pg_attribute a\nINNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)\nLEFT OUTER JOIN"
    " pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)\nLEFT OUTER JOIN pg_catalog.pg_description dsc ON"
    " (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)\nLEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype ="
    " 'i' and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid\nWHERE NOT a.attisdropped AND c.relkind not in"
    " ('i','I','c') AND c.oid={table}\nORDER BY a.attnum",
    "SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then"
    " \"substring\"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy\nFROM pg_catalog.pg_constraint c\nINNER JOIN"
    " pg_catalog.pg_class t ON t.oid=c.conrelid\nLEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid\nLEFT OUTER JOIN"
    " pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass"
    "\nWHERE c.conrelid={table}\nORDER BY c.oid",
    "SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,dsc.description,"
    "pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,"
    "pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans"
    "\nFROM pg_catalog.pg_index i\nINNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid\nINNER JOIN pg_catalog.pg_class tc ON"
    " tc.oid=i.indrelid\nLEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid\nWHERE i.indrelid={table}"
    " ORDER BY tabrelname, c.relname",
    "SELECT DISTINCT dep.deptype, dep.classid, dep.objid, cl.relkind, attr.attname,pg_get_expr(ad.adbin, ad.adrelid) adefval,"
    "\n    CASE WHEN cl.relkind IS NOT NULL THEN cl.relkind::text || COALESCE(dep.objsubid::text, '') ELSE '' END AS type"
    "\nFROM pg_depend dep\nLEFT JOIN pg_class cl ON dep.objid=cl.oid\nLEFT JOIN pg_attribute attr ON dep.objid=attr.attrelid AND"
    " dep.objsubid=attr.attnum\nLEFT JOIN pg_attrdef ad ON ad.oid=dep.objid\nWHERE dep.refobjid={table}",
    "SELECT x.oid,x.*,p.relname as tabrelname,d.description FROM pg_catalog.pg_trigger x\nLEFT JOIN pg_catalog.pg_class p ON"
    " p.oid=x.tgrelid\nLEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=x.oid\nWHERE x.tgrelid={table}",
    "SELECT i.*,c.relnamespace \nFROM pg_catalog.pg_inherits i,pg_catalog.pg_class c \nWHERE i.inhrelid={table} AND"
    " c.oid=i.inhparent ORDER BY i.inhseqno",
    "SELECT x.oid,x.* FROM pg_catalog.pg_sequence s, pg_catalog.pg_class x WHERE x.oid = s.seqrelid AND x.relnamespace={schema}",
    "SELECT p.oid as poid,p.*,pg_catalog.pg_get_expr(p.proargdefaults, 0) as arg_defaults,d.description\nFROM pg_catalog.pg_proc p"
    "\nLEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=p.oid\nWHERE p.pronamespace={schema}\nORDER BY p.proname",
    "SELECT pg_catalog.pg_get_viewdef({table}, true)",
    "SELECT * FROM pg_catalog.pg_policy WHERE polrelid={table}",
]
DATA = [
    "SELECT x.* FROM gold.viewer_retention x",
    "SELECT count(*) FROM gold.viewer_retention x",
    "EXPLAIN SELECT x.* FROM gold.viewer_retention x",
]


def oids(session) -> dict[str, int]:
    """Numbers of the schema gold and of a table in it."""
    schema = session.execute("select oid from pg_catalog.pg_namespace where nspname = 'gold'").fetchone()[0]
    table = session.execute(
        f"select oid from pg_catalog.pg_class where relname = 'viewer_retention' and relnamespace = {schema}").fetchone()[0]
    return {"schema": schema, "table": table}


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
def test_statements_work(session, prepare: bool):
    """All of them, one after the other in one session, as DBeaver sends them."""
    numbers = oids(session)
    for statement in CONNECT + SCHEMA + DATA:
        text = statement.format(**numbers) if re.search(r"\{(schema|table)\}", statement) else statement
        try:
            session.execute(text, prepare=prepare)
        except Exception as error:
            raise AssertionError(f"{text}\n{error}") from error


def test_answers_are_those_of_the_lake(session):
    """What the tree of schemas, tables and columns is drawn from."""
    numbers = oids(session)
    schemas = [row[2] for row in session.execute(CONNECT[4]).fetchall()]
    assert {"bronze", "silver", "gold"} <= set(schemas)
    cursor = session.execute(SCHEMA[0].format(**numbers))
    names = [column.name for column in cursor.description]
    tables = {row[names.index("relname")] for row in cursor}
    assert {"viewer_retention", "top_content", "builds"} <= tables and "views" not in tables
    cursor = session.execute(SCHEMA[2].format(**numbers))
    names = [column.name for column in cursor.description]
    columns = [(row[names.index("attname")], row[names.index("atttypid")]) for row in cursor]
    assert columns == [("video_id", 25), ("total_views", 20), ("avg_retention", 701)]
    assert session.execute(CONNECT[3]).fetchone() == ("gold", "ann")


def test_numbers_of_objects_stay(server: Server):
    """A client keeps the numbers of schemas and tables for as long as it runs."""
    with server.connect() as one, server.connect() as other:
        before = oids(one)
        for statement in CONNECT[4:6] + ["select * from pg_catalog.pg_attribute", "select * from pg_catalog.pg_class"]:
            other.execute(statement)
        assert oids(one) == oids(other) == before
