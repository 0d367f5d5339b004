-- Whether a sender has a rate.
select exists (select from punctual.paces p where p.scope = 'sender')
