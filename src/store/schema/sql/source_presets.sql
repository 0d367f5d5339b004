-- The source tables that are followed for a preset.
select s.definition ->> 'preset' as preset, s.name from punctual.sources s where s.definition ? 'preset' order by s.name
