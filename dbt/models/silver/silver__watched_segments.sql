select * from {{ source('silver', 'watched_segments') }}
