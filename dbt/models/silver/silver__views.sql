select * from {{ source('silver', 'views') }}
