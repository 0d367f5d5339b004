-- What may be wrong with the source tables that are followed.
select punctual.source_notes(s.name) as note from punctual.sources s order by s.name, note
