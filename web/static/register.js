// Suggests the device's time zone and its country: the page itself knows only the browser's languages.

const country = document.getElementById("country");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const known = [...document.getElementById("zones").options].find((one) => one.value === zone);

if ("suggested" in country.dataset && known) {
  country.value = known.dataset.country;
  document.getElementById("time_zone").value = zone;
}
