select * from {{ source('silver', 'enriched_events') }}
