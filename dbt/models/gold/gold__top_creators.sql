{#- Built whole: who watched over all dates can't be told from a day's rows. -#}
{{ config(materialized='table') }}

{{ ranked_by_watch_time(ref('silver__views'), id='creator') }}
