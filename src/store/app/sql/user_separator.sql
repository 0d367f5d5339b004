-- What divides a text into parts, as the running daemon has it.
select punctual.part_separator()
