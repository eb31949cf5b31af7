"""What the Tableau workbook holds: tables, data sources, calculations, sheets, the dashboard. make_tableau.py writes it."""

# The gold tables that it reads, column by column; the tests compare them with what is exported.
TABLES = {
    "retention_curve": {
        "video_id": "string", "second_s": "integer", "views": "bigint", "plays": "bigint", "watched": "bigint",
        "survived": "bigint",
    },
    "drop_off": {
        "video_id": "string", "region": "string", "view_date": "date", "bucket_start_s": "real", "views": "bigint",
        "exits": "bigint", "seeks_away": "bigint", "seeks_in": "bigint", "pauses": "bigint",
    },
    "top_content": {
        "period": "string", "view_date": "date", "video_id": "string", "title": "string", "creator": "string",
        "genre": "string", "views": "bigint", "viewers": "bigint", "watch_time_s": "real",
        "avg_watch_time_percentage": "real", "completion_rate": "real", "rank": "integer",
    },
    "regional_engagement": {
        "region": "string", "view_date": "date", "hour_of_day": "integer", "views": "bigint", "viewers": "bigint",
        "watch_time_s": "real", "avg_watch_time_percentage": "real",
    },
}

# Where the tables are: the extract beside the workbook, and the SQL endpoint of `streamreel serve`.
EXTRACT = {
    "class": "hyper", "name": "streamreel", "schema": "Extract", "suffix": "",
    "connection": {
        "authentication": "auth-none", "author-locale": "en_US", "class": "hyper", "dbname": "streamreel.hyper",
        "default-settings": "yes", "sslmode": "", "username": "tableau_internal_user",
    },
}
SQL = {
    "class": "postgres", "name": "127.0.0.1", "schema": "gold", "suffix": " (SQL)",
    "connection": {
        "authentication": "username-password", "class": "postgres", "dbname": "streamreel", "odbc-native-protocol": "",
        "one-time-sql": "", "port": "5439", "server": "127.0.0.1", "username": "streamreel",
    },
}

# Data source -> its table, and top_content where it is needed for titles.
SOURCES = {
    "Retention curve": ["retention_curve", "top_content"],
    "Drop-off": ["drop_off", "top_content"],
    "Top content": ["top_content"],
    "Regional engagement": ["regional_engagement"],
}

RATIO = {"default-format": "p0.0%"}
HOURS = {"default-format": "n#,##0.0;-#,##0.0"}


def _measure(table: str, caption: str, formula: str, form: dict) -> dict:
    return {"table": table, "caption": caption, "datatype": "real", "format": form, "role": "measure", "formula": formula}


CALCULATIONS = {
    "plays_a_view": _measure("retention_curve", "Plays a view", "SUM([plays]) / SUM([views])", RATIO),
    "retention": _measure("retention_curve", "Retention", "SUM([watched]) / SUM([views])", RATIO),
    "survival": _measure("retention_curve", "Survival", "SUM([survived]) / SUM([views])", RATIO),
    "content_watch_time_h": _measure("top_content", "Watch time (h)", "[watch_time_s] / 3600", HOURS),
    "content_completion": _measure(
        "top_content", "Completion", "SUM([completion_rate] * [views]) / SUM([views])", RATIO
    ),
    "regional_watch_time_h": _measure("regional_engagement", "Watch time (h)", "[watch_time_s] / 3600", HOURS),
    "country": {
        "table": "regional_engagement", "caption": "Country", "datatype": "string", "format": {}, "role": "dimension",
        "formula": "LEFT([region], 2)", "geography": {"semantic-role": "[Country].[ISO3166_2]"},
    },
}

CURVES = ["usr:plays_a_view:qk", "usr:retention:qk", "usr:survival:qk"]
LEAVING = ["sum:exits:qk", "sum:seeks_away:qk", "sum:seeks_in:qk", "sum:pauses:qk"]
# One row of top_content a video, and the videos that are picked; of those the five with the most views.
ALL_DATES = {"field": "none:period:nk", "only": '"all"', "context": True}
PICKED = {"field": "none:title:nk", "context": True, "card": True}
BIGGEST = {"field": "none:video_id:nk", "top": 5, "by": "MAX([views (top_content)])"}

SHEETS = [
    {
        "name": "Viewer Retention Curve", "source": "Retention curve", "mark": "Line",
        "title": "Viewer Retention Curve: of the views, how many play each second",
        "uses": ["none:second_s:qk", "none:title:nk", "none:period:nk", "none:video_id:nk", *CURVES],
        "filters": [ALL_DATES, PICKED, BIGGEST, {"measures": CURVES}],
        "rows": "([none:title:nk] * [Multiple Values])", "cols": "[none:second_s:qk]",
        "encodings": [("color", ":Measure Names"), ("lod", "none:video_id:nk")],
        "axis": {"none:second_s:qk": "Second of the video"},
    },
    {
        "name": "Event Drop-off Timeline", "source": "Drop-off", "mark": "Bar",
        "title": "Event Drop-off Timeline: exits, seeks and pauses in every 5 seconds",
        "uses": ["none:bucket_start_s:qk", "none:title:nk", "none:period:nk", "none:video_id:nk", *LEAVING],
        "filters": [ALL_DATES, PICKED, BIGGEST, {"measures": LEAVING}],
        "rows": "([none:title:nk] * [Multiple Values])", "cols": "[none:bucket_start_s:qk]",
        "encodings": [("color", ":Measure Names"), ("lod", "none:video_id:nk")],
        "axis": {"none:bucket_start_s:qk": "Second of the video"},
    },
    {
        "name": "Top Creators & Genres by Engagement", "source": "Top content", "mark": "Bar",
        "title": "Top Creators & Genres by Engagement: hours watched",
        "uses": ["none:creator:nk", "none:genre:nk", "none:period:nk", "sum:content_watch_time_h:qk", "sum:views:qk",
                 "usr:content_completion:qk"],
        "filters": [ALL_DATES],
        "sorts": [("none:creator:nk", "sum:content_watch_time_h:qk")],
        "rows": "[none:creator:nk]", "cols": "[sum:content_watch_time_h:qk]",
        "encodings": [("color", "none:genre:nk"), ("tooltip", "sum:views:qk"), ("tooltip", "usr:content_completion:qk")],
    },
    {
        "name": "Regional Heatmaps", "source": "Regional engagement", "mark": "Square",
        "title": "Regional Heatmaps: hours watched by region and hour of the day (UTC)",
        "uses": ["none:region:nk", "none:hour_of_day:ok", "sum:regional_watch_time_h:qk", "sum:views:qk"],
        "filters": [{"field": "none:hour_of_day:ok", "but": "%null%"}],
        "sorts": [("none:region:nk", "sum:regional_watch_time_h:qk")],
        "rows": "[none:region:nk]", "cols": "[none:hour_of_day:ok]",
        "encodings": [("color", "sum:regional_watch_time_h:qk"), ("tooltip", "sum:views:qk")],
    },
    {
        "name": "Regional Map", "source": "Regional engagement", "mark": "Multipolygon", "map": True,
        "title": "Regional Heatmaps: hours watched by country",
        "uses": ["none:country:nk", "none:hour_of_day:ok", "sum:regional_watch_time_h:qk", "sum:views:qk"],
        "filters": [{"field": "none:hour_of_day:ok", "only": "%null%"}],
        "rows": "[Latitude (generated)]", "cols": "[Longitude (generated)]",
        "encodings": [("color", "sum:regional_watch_time_h:qk"), ("lod", "none:country:nk"), ("tooltip", "sum:views:qk"),
                      ("geometry", "Geometry (generated)")],
    },
]

# Positions in 1/100,000 of the page: x, y, width, height.
DASHBOARD = {
    "name": "Viewer Insights",
    "size": (1500, 1200),
    "zones": [
        {"text": "StreamReel: viewer insights", "at": (0, 0, 100000, 5000)},
        {"sheet": "Viewer Retention Curve", "at": (0, 5000, 44000, 50000)},
        {"sheet": "Event Drop-off Timeline", "at": (44000, 5000, 44000, 50000)},
        {"sheet": "Viewer Retention Curve", "type": "filter", "of": "none:title:nk", "at": (88000, 5000, 12000, 7000)},
        {"sheet": "Viewer Retention Curve", "type": "color", "of": ":Measure Names", "at": (88000, 12000, 12000, 12000)},
        {"sheet": "Event Drop-off Timeline", "type": "filter", "of": "none:title:nk", "at": (88000, 24000, 12000, 7000)},
        {"sheet": "Event Drop-off Timeline", "type": "color", "of": ":Measure Names", "at": (88000, 31000, 12000, 12000)},
        {"sheet": "Top Creators & Genres by Engagement", "at": (0, 55000, 30000, 45000)},
        {"sheet": "Top Creators & Genres by Engagement", "type": "color", "of": "none:genre:nk",
         "at": (88000, 55000, 12000, 45000)},
        {"sheet": "Regional Heatmaps", "at": (30000, 55000, 29000, 45000)},
        {"sheet": "Regional Map", "at": (59000, 55000, 29000, 45000)},
    ],
}
