// Swagger UI on this server's own description, started here because the page may hold no inline script.

const main = document.getElementById("docs");
SwaggerUIBundle({
  url: main.dataset.description,
  domNode: main,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null, // the default sends the description to a server elsewhere
});
