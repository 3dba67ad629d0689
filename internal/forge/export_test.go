package forge

// Complaint reads what an answer says is wrong.
var Complaint = complaint
