select * from {{ source('silver', 'seeks') }}
