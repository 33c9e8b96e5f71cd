push(`select ${a.id}, name from users where users.kind = ${kind} and name like ${pattern} or id in (select id from admins)`)
