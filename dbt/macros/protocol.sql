{#-
Refuses a table of the lake that asks its readers or writers for more of Delta than a lake's tables do, which are of
protocol 1 for readers and 2 for writers: engines say it in their own words, or don't. Only the commits of its log are
read, which a newer writer's first one is among. StreamReel's own runner reads through the lake, which refuses by itself.
-#}
{% macro check_protocol(layer, table) -%}
    {{ adapter.dispatch('check_protocol', 'streamreel')(layer, table) }}
{%- endmacro %}

{% macro datafusion__check_protocol(layer, table) -%}
{%- endmacro %}

{% macro default__check_protocol(layer, table) -%}
    {%- if execute -%}
        {%- set place = env_var('STREAMREEL_LAKE', 'streamreel_data/data_lake') ~ '/' ~ layer ~ '/' ~ table -%}
        {%- set query = adapter.dispatch('newest_protocol', 'streamreel')(place ~ '/_delta_log/*.json') -%}
        {%- for reader, writer, features in run_query(query) if reader > 1 or writer > 2 -%}
            {{ exceptions.raise_compiler_error(
                layer ~ '.' ~ table ~ ' at ' ~ place ~ ' uses reader protocol ' ~ reader ~ ' and writer protocol ' ~ writer
                ~ ' of Delta' ~ (' with ' ~ features if features else '') ~ '; this project works with 1 and 2, without further '
                ~ 'features. Take the project of a newer program that knows them, or move that folder away and land or build the '
                ~ 'table again'
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#- One row, or none: the protocols for readers and for writers, and the features by name. -#}
{% macro duckdb__newest_protocol(commits) -%}
    select
        protocol.minReaderVersion as reader,
        protocol.minWriterVersion as writer,
        array_to_string(list_sort(list_distinct(
            list_concat(protocol.readerFeatures, protocol.writerFeatures)
        )), ', ') as features
    from read_json(
        '{{ commits }}',
        format = 'newline_delimited',
        filename = true,
        columns = {
            protocol: 'struct(minReaderVersion int, minWriterVersion int, readerFeatures varchar[], writerFeatures varchar[])'
        }
    )
    where protocol is not null
    order by filename desc
    limit 1
{%- endmacro %}

{% macro spark__newest_protocol(commits) -%}
    select
        said.protocol.minReaderVersion as reader,
        said.protocol.minWriterVersion as writer,
        array_join(array_sort(array_distinct(concat(
            coalesce(said.protocol.readerFeatures, cast(array() as array<string>)),
            coalesce(said.protocol.writerFeatures, cast(array() as array<string>))
        ))), ', ') as features
    from (
        select
            _metadata.file_name as file,
            from_json(
                value,
                'protocol struct<minReaderVersion: int, minWriterVersion: int, readerFeatures: array<string>, writerFeatures: array<string>>'
            ) as said
        from text.`{{ commits }}`
        where value like '{"protocol"%'
    )
    order by file desc
    limit 1
{%- endmacro %}
