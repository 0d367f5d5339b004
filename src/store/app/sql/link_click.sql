-- Where a tracking link leads, and whether it has expired. Counts the click.
-- $1 its code  $2 whether this is a click
select c.link, c.destination, c.is_over from punctual.click_link($1::text, $2::boolean) c
