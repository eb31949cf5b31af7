#!/usr/bin/env python3
"""Writes tableau_viewer_insights.twb: what it shows is described in tableau_sheets.py, how Tableau writes it down is here.

    python3 dashboards/make_tableau.py            (needs Python 3.9 alone)

Each table is a data source twice, with the same fields: over the extract that `streamreel export --format hyper` writes,
which the sheets use, and over the SQL endpoint. The elements are those that Tableau itself writes for such workbooks.
"""

import re
import uuid
from pathlib import Path
from xml.etree import ElementTree

from tableau_sheets import CALCULATIONS, DASHBOARD, EXTRACT, SHEETS, SOURCES, SQL, TABLES

WORKBOOK = Path(__file__).with_name("tableau_viewer_insights.twb")
USER = "http://www.tableausoftware.com/xml/user"
# The version of the format, which has been the same since 2018, the build whose files were the pattern, and the features of
# the format that are used: a Tableau that has them opens the file.
VERSION = "18.1"
BUILD = "2026.1.1 (20261.26.0410.0924)"
FEATURES = (
    "AccessibleZoneTabOrder", "AnimationOnByDefault", "AutoCreateAndUpdateDSDPhoneLayouts", "MapboxVectorStylesAndLayers",
    "MarkAnimation", "ObjectModelEncapsulateLegacy", "ObjectModelTableType", "SchemaViewerObjectModel",
    "SetMembershipControl", "SheetIdentifierTracking", "SortTagCleanup", "WindowsPersistSimpleIdentifiers",
)
DERIVATIONS = {"none": "None", "sum": "Sum", "usr": "User"}
TYPES = {"nk": "nominal", "ok": "ordinal", "qk": "quantitative"}
# Of each kind of column: Tableau's type and aggregation, the extract's type code, PostgreSQL's with its ODBC names.
KINDS = {
    "string": ("string", "Count", 129, 130, "SQL_WVARCHAR", "SQL_C_WCHAR"),
    "date": ("date", "Year", 133, 7, "SQL_TYPE_DATE", "SQL_C_TYPE_DATE"),
    "integer": ("integer", "Sum", 3, 3, "SQL_INTEGER", "SQL_C_SLONG"),
    "bigint": ("integer", "Sum", 20, 20, "SQL_BIGINT", "SQL_C_SBIGINT"),
    "real": ("real", "Sum", 5, 5, "SQL_FLOAT", "SQL_C_DOUBLE"),
}


def element(tag: str, attributes: dict | None = None, *children, text: str | None = None):
    """An element with attributes in the order given; `user:` names the namespace that Tableau has for its interface."""
    spelled = {name.replace("user:", f"{{{USER}}}"): str(value) for name, value in (attributes or {}).items()}
    made = ElementTree.Element(tag, spelled)
    made.text = text
    made.extend(child for child in children if child is not None)
    return made


def identity(of: str):
    """The id that Tableau gives each sheet and window: here the same at each run."""
    return element("simple-id", {"uuid": f"{{{uuid.uuid5(uuid.NAMESPACE_URL, 'streamreel/' + of)}}}".upper()})


class Source:
    """A data source: one table, with the titles of the videos beside it where it has only their ids."""

    def __init__(self, place: dict, caption: str, tables: list[str]):
        self.place, self.tables = place, tables
        self.caption = caption + place["suffix"]
        self.name = f"federated.{place['class']}_{tables[0]}"
        self.connection = f"{place['class']}.{place['name']}"
        # Tableau's name for the table, or for the join as a whole.
        self.object = f"{tables[0]}_{uuid.uuid5(uuid.NAMESPACE_URL, self.name).hex.upper()}"
        # Field -> (table, column, kind). A name that an earlier table has gets the table's name, as Tableau does it.
        self.fields = {}
        for table in tables:
            for column, kind in TABLES[table].items():
                field = column if column not in self.fields else f"{column} ({table})"
                self.fields[field] = (table, column, kind)

    def field(self, instance: str) -> str:
        """An instance of a field, as shelves and filters name it."""
        return f"[{self.name}].[{instance}]"

    def column(self, field: str):
        """How a field, stored or calculated, appears."""
        if field in CALCULATIONS:
            calculation = CALCULATIONS[field]
            return element(
                "column",
                {"caption": calculation["caption"], "datatype": calculation["datatype"], **calculation["format"],
                 "name": f"[{field}]", "role": calculation["role"], **calculation.get("geography", {}),
                 "type": "nominal" if calculation["role"] == "dimension" else "quantitative"},
                element("calculation", {"class": "tableau", "formula": calculation["formula"]}),
            )
        _, column, kind = self.fields[field]
        axis, discrete = column in ("second_s", "bucket_start_s"), column in ("hour_of_day", "rank")
        dimension = kind in ("string", "date") or axis or discrete
        shown = "quantitative" if axis or not dimension else "nominal" if kind == "string" else "ordinal"
        caption = field.replace("_s", " (s)").replace("_", " ").capitalize() if axis else field.replace("_", " ").capitalize()
        return element("column", {"caption": caption, "datatype": KINDS[kind][0], "name": f"[{field}]",
                                  "role": "dimension" if dimension else "measure", "type": shown})

    def relation(self):
        """The table, or a left join with the titles."""
        relations = [
            element("relation", {"connection": self.connection, "name": table,
                                 "table": f"[{self.place['schema']}].[{table}]", "type": "table"})
            for table in self.tables
        ]
        if len(relations) == 1:
            return relations[0]
        sides = [element("expression", {"op": f"[{table}].[video_id]"}) for table in self.tables]
        clause = element("clause", {"type": "join"}, element("expression", {"op": "="}, *sides))
        return element("relation", {"join": "left", "type": "join"}, clause, *relations)

    def metadata(self, ordinal: int, field: str):
        """What Tableau noted of a column when it connected."""
        table, column, kind = self.fields[field]
        local, aggregation, hyper, postgres, odbc, wire = KINDS[kind]
        notes = [("remote-name", column), ("remote-type", hyper if self.place is EXTRACT else postgres),
                 ("local-name", f"[{field}]"), ("parent-name", f"[{table}]"), ("remote-alias", column),
                 ("ordinal", ordinal), ("local-type", local), ("aggregation", aggregation), ("contains-null", "true")]
        record = element("metadata-record", {"class": "column"}, *(element(tag, text=str(value)) for tag, value in notes))
        if kind == "string":
            record.append(element("collation", {"flag": 0, "name": "LEN_RUS"}))
        if self.place is SQL:
            names = {"DebugRemoteType": odbc, "DebugWireType": wire}
            record.append(element("attributes", {}, *(
                element("attribute", {"datatype": "string", "name": name}, text=f'"{value}"') for name, value in names.items()
            )))
        record.append(element("object-id", text=f"[{self.object}]"))
        return record

    def xml(self):
        """The whole data source."""
        connection = element(
            "connection", {"class": "federated"},
            element("named-connections", {}, element(
                "named-connection", {"caption": self.place["name"], "name": self.connection},
                element("connection", self.place["connection"]),
            )),
            self.relation(),
            element("cols", {}, *(
                element("map", {"key": f"[{field}]", "value": f"[{table}].[{column}]"})
                for field, (table, column, _) in sorted(self.fields.items())
            )),
            element("metadata-records", {}, *(self.metadata(n, field) for n, field in enumerate(self.fields, start=1))),
        )
        calculated = [name for name, calculation in CALCULATIONS.items() if calculation["table"] == self.tables[0]]
        caption = self.tables[0] + "+" * (len(self.tables) - 1)
        whole = element("column", {"caption": caption, "datatype": "table", "role": "measure", "type": "quantitative",
                                   "name": f"[__tableau_internal_object_id__].[{self.object}]"})
        graph = element("object-graph", {}, element("objects", {}, element(
            "object", {"caption": caption, "id": self.object}, element("properties", {"context": ""}, self.relation()),
        )))
        return element(
            "datasource", {"caption": self.caption, "inline": "true", "name": self.name, "version": VERSION},
            connection,
            element("aliases", {"enabled": "yes"}),
            *(self.column(field) for field in sorted(calculated + list(self.fields))),
            whole,
            element("layout", {"dim-ordering": "alphabetic", "measure-ordering": "alphabetic", "show-structure": "true"}),
            graph,
        )

    def dependencies(self, instances: list[str]):
        """What a sheet uses of it: the columns, also those that a calculation reads, and their instances."""
        fields = {instance.split(":")[1] for instance in instances}
        for field in list(fields & set(CALCULATIONS)):
            fields |= set(re.findall(r"\[(.+?)\]", CALCULATIONS[field]["formula"]))
        parts = [self.column(field) for field in sorted(fields)]
        for instance in sorted(set(instances)):
            derivation, field, key = instance.split(":")
            parts.append(element("column-instance", {
                "column": f"[{field}]", "derivation": DERIVATIONS[derivation], "name": f"[{instance}]",
                "pivot": "key", "type": TYPES[key],
            }))
        return element("datasource-dependencies", {"datasource": self.name}, *parts)


def group(function: str, attributes: dict, *children):
    """One step of a categorical filter."""
    return element("groupfilter", {"function": function, **attributes}, *children)


def filtered(source: Source, what: dict):
    """A filter of a sheet."""
    enumerate_all = {"user:ui-enumeration": "all", "user:ui-marker": "enumerate"}
    if "measures" in what:
        members = [
            group("member", {"level": "[:Measure Names]", "member": f'"{source.field(measure)}"'}) for measure in what["measures"]
        ]
        column, chosen = source.field(":Measure Names"), group("union", {"user:op": "manual"}, *members)
    else:
        level = f"[{what['field']}]"
        every = group("level-members", {"level": level, **enumerate_all})
        column = source.field(what["field"])
        if "top" in what:
            order = group("order", {"direction": "DESC", "expression": what["by"], "user:ui-marker": "order"}, every)
            chosen = group("end", {"count": what["top"], "end": "top", "units": "records", "user:ui-marker": "end",
                                   "user:ui-top-by-field": "true"}, order)
        elif "only" in what:
            chosen = group("member", {"level": level, "member": what["only"], "user:ui-domain": "database",
                                      "user:ui-enumeration": "inclusive", "user:ui-marker": "enumerate"})
        elif "but" in what:
            chosen = group("except", {"user:ui-domain": "database", "user:ui-enumeration": "exclusive",
                                      "user:ui-marker": "enumerate"},
                           group("level-members", {"level": level}), group("member", {"level": level, "member": what["but"]}))
        else:
            chosen = every
    context = {"context": "true"} if what.get("context") else {}
    return element("filter", {"class": "categorical", "column": column, **context}, chosen)


def shelf(source: Source, text: str) -> str:
    """A shelf's expression, with each [field] named in full."""
    return re.sub(r"\[(.+?)\]", lambda found: source.field(found[1]), text)


def worksheet(sheet: dict, source: Source):
    """A sheet."""
    maps = element("mapsources", {}, element("mapsource", {"name": "Tableau"})) if sheet.get("map") else None
    filters = [filtered(source, what) for what in sheet["filters"]]
    sorts = [
        element("computed-sort", {"column": source.field(column), "direction": "DESC", "using": source.field(using)})
        for column, using in sheet.get("sorts", [])
    ]
    slices = [element("column", text=f["column"]) for f in (filter.attrib for filter in filters)]
    titles = [
        element("format", {"attr": "title", "class": 0, "field": source.field(field), "scope": "cols", "value": title})
        for field, title in sheet.get("axis", {}).items()
    ]
    encodings = [element(kind, {"column": source.field(field)}) for kind, field in sheet["encodings"]]
    view = element(
        "view", {},
        element("datasources", {}, element("datasource", {"caption": source.caption, "name": source.name})),
        maps, source.dependencies(sheet["uses"]), *filters, *sorts,
        element("slices", {}, *slices) if slices else None, element("aggregation", {"value": "true"}),
    )
    pane = element(
        "pane", {"selection-relaxation-option": "selection-relaxation-allow"},
        element("view", {}, element("breakdown", {"value": "auto"})),
        element("mark", {"class": sheet["mark"]}), element("encodings", {}, *encodings),
    )
    title = element("formatted-text", {}, element("run", text=sheet["title"]))
    return element(
        "worksheet", {"name": sheet["name"]},
        element("layout-options", {}, element("title", {}, title)),
        element("table", {}, view,
                element("style", {}, element("style-rule", {"element": "axis"}, *titles) if titles else None),
                element("panes", {}, pane),
                element("rows", text=shelf(source, sheet["rows"])), element("cols", text=shelf(source, sheet["cols"]))),
        identity("sheet/" + sheet["name"]),
    )


def dashboard(sources: dict):
    """All sheets on one page, with the legends and filters of some."""
    zones, used = [], {}
    for number, zone in enumerate(DASHBOARD["zones"], start=3):
        x, y, w, h = zone["at"]
        attributes = {"h": h, "id": number, "w": w, "x": x, "y": y}
        if "text" in zone:
            run = element("run", {"bold": "true", "fontsize": 16}, text=zone["text"])
            zones.append(element("zone", {**attributes, "type-v2": "text"}, element("formatted-text", {}, run)))
            continue
        attributes["name"] = zone["sheet"]
        if "of" in zone:
            source = sources[next(sheet["source"] for sheet in SHEETS if sheet["name"] == zone["sheet"])]
            attributes |= {"param": source.field(zone["of"]), "type-v2": zone["type"]}
            if zone["type"] == "filter":
                attributes["mode"] = "checkdropdown"
                used.setdefault(source.name, (source, []))[1].append(zone["of"])
            else:
                attributes["pane-specification-id"] = 0
        zones.append(element("zone", attributes))
    whole = element("zone", {"h": 100000, "id": 2, "type-v2": "layout-basic", "w": 100000, "x": 0, "y": 0}, *zones)
    width, height = DASHBOARD["size"]
    return element(
        "dashboard", {"name": DASHBOARD["name"]},
        element("style"),
        element("size", {"maxheight": height, "maxwidth": width, "minheight": height, "minwidth": width}),
        element("datasources", {}, *(
            element("datasource", {"caption": source.caption, "name": source.name}) for source, _ in used.values()
        )),
        *(source.dependencies(fields) for source, fields in used.values()),
        element("zones", {}, whole),
        identity("dashboard"),
    )


def window(name: str, source: Source | None = None, filters: list[dict] = ()):
    """The window of a sheet, with cards for the filters that are meant to be changed."""
    cards = [element("card", {"mode": "checkdropdown", "param": source.field(f["field"]), "type": "filter"}) for f in filters]
    left = element("strip", {"size": 160}, *(element("card", {"type": kind}) for kind in ("pages", "filters", "marks")))
    top = [element("strip", {"size": 2147483647}, element("card", {"type": kind})) for kind in ("columns", "rows")]
    title = element("strip", {"size": 31}, element("card", {"type": "title"}))
    right = element("edge", {"name": "right"}, element("strip", {"size": 160}, *cards)) if cards else None
    return element(
        "window", {"class": "worksheet", "name": name},
        element("cards", {}, element("edge", {"name": "left"}, left), element("edge", {"name": "top"}, *top, title), right),
        identity("window/" + name),
    )


def workbook():
    """The whole workbook."""
    sources = {caption: Source(EXTRACT, caption, tables) for caption, tables in SOURCES.items()}
    live = [Source(SQL, caption, tables) for caption, tables in SOURCES.items()]
    viewpoints = [
        element("viewpoint", {"name": sheet["name"]}, element("zoom", {"type": "entire-view"})) for sheet in SHEETS
    ]
    shown = [
        window(sheet["name"], sources[sheet["source"]], [f for f in sheet["filters"] if f.get("card")]) for sheet in SHEETS
    ]
    front = element(
        "window", {"class": "dashboard", "maximized": "true", "name": DASHBOARD["name"]},
        element("viewpoints", {}, *viewpoints), element("active", {"id": -1}), identity("window/" + DASHBOARD["name"]),
    )
    preferences = {"ui.encoding.shelf.height": 24, "ui.shelf.height": 26}
    return element(
        "workbook", {"original-version": VERSION, "source-build": BUILD, "source-platform": "win", "version": VERSION},
        element("document-format-change-manifest", {}, *map(element, FEATURES)),
        element("preferences", {}, *(element("preference", {"name": n, "value": v}) for n, v in preferences.items())),
        element("datasources", {}, *(source.xml() for source in [*sources.values(), *live])),
        element("mapsources", {}, element("mapsource", {"name": "Tableau"})),
        element("worksheets", {}, *(worksheet(sheet, sources[sheet["source"]]) for sheet in SHEETS)),
        element("dashboards", {}, dashboard(sources)),
        element("windows", {"source-height": 30}, *shown, front),
    )


def text() -> str:
    """The file's content."""
    ElementTree.register_namespace("user", USER)
    root = workbook()
    ElementTree.indent(root)
    return "<?xml version='1.0' encoding='utf-8' ?>\n" + ElementTree.tostring(root, encoding="unicode") + "\n"


if __name__ == "__main__":
    WORKBOOK.write_text(text(), encoding="utf-8")
    print(f"wrote {WORKBOOK}")
