{{- check_protocol('bronze', 'events') -}}
select * from {{ source('bronze', 'events') }}
