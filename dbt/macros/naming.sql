{#- A model's file carries its layer: gold__viewer_retention.sql is the relation gold.viewer_retention. -#}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
    {{ custom_alias_name or node.name.split('__')[-1] }}
{%- endmacro %}
