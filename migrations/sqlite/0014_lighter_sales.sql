-- Nothing reads this index any more (see 0011); every sale wrote to it. (PostgreSQL loses two foreign
-- keys here as well, whose check costs nearly nothing in SQLite.)
DROP INDEX ventes_a_remettre;
