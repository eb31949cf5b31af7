{{- check_protocol('silver', 'enriched_events') -}}
select * from {{ source('silver', 'enriched_events') }}
