select * from {{ source('silver', 'changes') }}
