{#-
`changed('v')` is true of the rows of relation `v` that belong to a group which this build has to derive again. The
model's config `changed_by` names the columns of the group: the runner deletes these groups from the model's table and
appends what the model selects, so each input of a model that has `changed_by` is limited by `changed`.

On other engines, and where the table is built whole, it is true of every row.
-#}
{% macro changed(alias) -%}
    {{ adapter.dispatch('changed', 'streamreel')(alias) }}
{%- endmacro %}

{#- For data tests: true of the rows on dates that this build has derived again, of every row where dates are not among `columns`. -#}
{% macro may_have_changed(columns=['view_date']) -%}
    {%- set dates = var('changed_dates', []) if 'view_date' in columns else [] -%}
    {%- if dates -%}
        view_date in ({{ date_literals(dates) }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro date_literals(dates) -%}
    {%- for date in dates %}cast('{{ date }}' as date){{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{% macro default__changed(alias) -%}
    true
{%- endmacro %}

{#-
The runner gives `silver.changed_groups`: of `silver.changes` since the published build the columns of `changed_by`, each
combination once; and `changed_dates`, their dates as text, which are repeated as literals so that files of other dates
are not opened.
-#}
{% macro datafusion__changed(alias) -%}
    {%- if is_incremental() -%}
        {%- set columns = config.get('changed_by') -%}
        {%- set dates = var('changed_dates', []) -%}
        exists (select 1 from silver.changed_groups as touched where {{ same_group(alias, 'touched', columns) }})
        {%- if 'view_date' in columns and dates %}
            and {{ alias }}.view_date in ({{ date_literals(dates) }})
        {%- endif -%}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
