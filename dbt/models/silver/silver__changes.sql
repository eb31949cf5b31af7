{{- check_protocol('silver', 'changes') -}}
select * from {{ source('silver', 'changes') }}
