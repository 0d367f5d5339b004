-- The indexes by which the app's tables for sent messages are read that are missing, and the statements for them.
select i.name, i.is_left, i.build, i.removal from punctual.app_indexes() i
