select * from {{ source('bronze', 'events') }}
