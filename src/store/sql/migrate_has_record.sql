select to_regclass('punctual.migrations') is not null
       and to_regclass('punctual.triggers') is not null
