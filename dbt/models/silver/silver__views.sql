{{- check_protocol('silver', 'views') -}}
select * from {{ source('silver', 'views') }}
