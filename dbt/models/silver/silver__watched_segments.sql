{{- check_protocol('silver', 'watched_segments') -}}
select * from {{ source('silver', 'watched_segments') }}
