{{- check_protocol('silver', 'seeks') -}}
select * from {{ source('silver', 'seeks') }}
