const reais = new Intl.NumberFormat('pt-BR', { style: 'currency', currency: 'BRL' });
export const money = (centavos) => reais.format(centavos / 100);
export const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
