push(`select ${a.id}, name from members where users.kind = ${kind} and name like ${pattern} or id in (select id from owners)`)
